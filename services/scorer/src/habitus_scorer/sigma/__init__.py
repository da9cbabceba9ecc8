# SPDX-License-Identifier: Apache-2.0
"""Sigma rules: pySigma parses, this package evaluates them over one event (sigmahq.io/docs)."""
