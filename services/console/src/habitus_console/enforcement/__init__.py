# SPDX-License-Identifier: Apache-2.0
"""Makes policies of other tools from an exported profile."""
