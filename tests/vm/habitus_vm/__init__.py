# SPDX-License-Identifier: Apache-2.0
"""Boots Debian kernels under QEMU on this machine's own files, and runs a command in each."""
