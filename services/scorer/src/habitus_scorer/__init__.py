# SPDX-License-Identifier: Apache-2.0
"""Scores anomalies by engines, folds them into incidents and raises alerts."""
