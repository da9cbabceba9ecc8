# SPDX-License-Identifier: Apache-2.0
"""Asks a language model of any provider for one bounded verdict."""
