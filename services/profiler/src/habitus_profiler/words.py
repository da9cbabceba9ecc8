# SPDX-License-Identifier: Apache-2.0
"""Word lists that read as text."""


def words(text: str) -> frozenset[str]:
    """Return the words of `text`, which stand apart by white space."""
    return frozenset(text.split())
