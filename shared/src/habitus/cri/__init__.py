# SPDX-License-Identifier: Apache-2.0
"""The Container Runtime Interface v1: what containerd and CRI-O answer. Needs the extra `cri`."""
