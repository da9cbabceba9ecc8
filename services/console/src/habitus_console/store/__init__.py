# SPDX-License-Identifier: Apache-2.0
"""Alerts that are kept, with what people said of them: SQLite, or PostgreSQL."""
