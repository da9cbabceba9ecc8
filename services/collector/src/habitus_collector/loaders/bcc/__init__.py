# SPDX-License-Identifier: Apache-2.0
"""The loader `bcc`, for kernels without BTF: see README.md."""
