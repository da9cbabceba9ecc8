# SPDX-License-Identifier: Apache-2.0
"""The contracts that every Habitus service shares. A service imports this package and no other."""

import importlib
import sys

__version__ = "0.1.0"


def _load_nats_alone() -> None:
    """Import nats-py without aiohttp, which it takes where it is installed (the gateway's client needs it).

    It is for WebSockets, which no service speaks, and would cost each of them 12 MB.
    """
    if "aiohttp" in sys.modules:
        return
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # Python's own way to say: not to be had
    try:
        importlib.import_module("nats")
    finally:
        del sys.modules["aiohttp"]


_load_nats_alone()
