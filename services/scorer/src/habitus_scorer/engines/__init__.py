# SPDX-License-Identifier: Apache-2.0
"""The built-in engines; they come through the entry points of group `habitus.engines`, as any other."""
