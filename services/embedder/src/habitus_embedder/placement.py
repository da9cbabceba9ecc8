# SPDX-License-Identifier: Apache-2.0
"""Keeps a process on one NUMA node: a run whose threads sit on two nodes waits for far memory."""

import os
from pathlib import Path
from typing import Final

from habitus.service import ServiceFault

NODES: Final = Path("/sys/devices/system/node")


def stay_on(node: int, nodes: Path = NODES) -> set[int]:
    """Bind this process to the processors of `node` that it may use, and return them.

    Called before any thread or any weight is there: memory is taken near the thread that first writes it.

    Raises:
        ServiceFault: no such node, or none of its processors may be used.
    """
    try:
        listed = (nodes / f"node{node}" / "cpulist").read_text()
    except OSError:
        found = ", ".join(sorted(one.name.removeprefix("node") for one in nodes.glob("node[0-9]*"))) or "none"
        raise ServiceFault(f"embedder.numa_node: no node {node} here; there is {found}") from None
    usable = cpus(listed) & os.sched_getaffinity(0)
    if not usable:
        raise ServiceFault(f"embedder.numa_node: this process may use no processor of node {node}")
    os.sched_setaffinity(0, usable)
    return usable


def cpus(listed: str) -> set[int]:
    """Read the kernel's list form, e.g. `0-3,8`."""
    parts = (part.partition("-") for part in listed.strip().split(",") if part)
    return {cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)}
