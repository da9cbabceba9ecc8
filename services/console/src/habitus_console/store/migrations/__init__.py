# SPDX-License-Identifier: Apache-2.0
"""Alembic's migrations of the alert store: one file a change, applied at start and never edited after."""
