# SPDX-License-Identifier: Apache-2.0
"""Python's collector of cycles, told to look seldom: a service's own objects go with their last reference."""

import gc
from typing import Final

_SELDOM: Final = (50_000, 20, 100)
"""Python's own 700, 10, 10 have the collector look after every third batch."""


def collect_seldom() -> None:
    """Have the collector look seldom: what a service makes holds few cycles, a look holds it up."""
    gc.set_threshold(*_SELDOM)


def spare_what_stays() -> None:
    """Collect once, and take what is there now out of all further looks: libraries, models, templates."""
    gc.collect()
    gc.freeze()
