# SPDX-License-Identifier: Apache-2.0
"""Learns what each image normally does and publishes what departs from it."""
