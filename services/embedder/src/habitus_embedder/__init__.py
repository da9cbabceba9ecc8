# SPDX-License-Identifier: Apache-2.0
"""Turns texts into vectors with a model chosen by setting."""
