# SPDX-License-Identifier: Apache-2.0
"""Falco's rule files over our events: lists, macros, rules, exceptions, appends and overrides."""
