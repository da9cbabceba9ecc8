# SPDX-License-Identifier: Apache-2.0
"""Keeps a stream of a runtime's events open: reconnects, ever more rarely while that fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from habitus_collector.discovery import DiscoveryFault

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
ABSENT_S: Final = 5.0
"""How often it is looked whether a socket is there at all."""


async def keep(
    present: Callable[[], bool],
    follow: Callable[[], Awaitable[None]],
    say: Callable[[DiscoveryFault], None],
) -> None:
    """Follow for ever, whenever the runtime is there."""
    pause = FIRST_S
    while True:
        if not present():
            pause = FIRST_S
            await asyncio.sleep(ABSENT_S)
            continue
        began = time.monotonic()
        try:
            await follow()
        except DiscoveryFault as fault:
            say(fault)
        except Exception as error:  # noqa: BLE001 - a fault of one source must not end the others
            say(DiscoveryFault(f"{type(error).__name__}: {error}".splitlines()[0]))
        if time.monotonic() - began > LONGEST_S:  # it worked for a while: this is another fault
            pause = FIRST_S
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_S)
