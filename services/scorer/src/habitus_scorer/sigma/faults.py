# SPDX-License-Identifier: Apache-2.0
"""What keeps a rule from being evaluated."""


class Unsupported(ValueError):
    """A rule asks for what this evaluator or our events lack; `key` is the place in the rule."""

    def __init__(self, reason: str, key: str = "detection") -> None:
        super().__init__(reason)
        self.key = key
