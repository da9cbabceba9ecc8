# SPDX-License-Identifier: Apache-2.0
"""Measurements of the profiler: one module a part, each with a `measure(rounds)`."""
