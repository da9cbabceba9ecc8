# SPDX-License-Identifier: Apache-2.0
"""Measurements of whole parts beside their peers."""
