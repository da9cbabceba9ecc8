# SPDX-License-Identifier: Apache-2.0
"""The contracts that every Habitus service shares. A service imports this package and no other."""

__version__ = "0.1.0"
