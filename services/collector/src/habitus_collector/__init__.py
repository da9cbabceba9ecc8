# SPDX-License-Identifier: Apache-2.0
"""Watches containers from the kernel by eBPF and publishes their events."""
