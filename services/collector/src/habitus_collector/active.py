# SPDX-License-Identifier: Apache-2.0
"""The checks of `doctor` on what is on with these settings, found out by really loading and asking."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from habitus import plugins
from habitus.settings import CollectorSettings
from habitus_collector import environment, loaders, probes, rungs, sensors
from habitus_collector.check import ON, Check
from habitus_collector.discovery import GROUP, Discovery, DiscoveryFault
from habitus_collector.libbpf import LibbpfFault
from habitus_collector.spool import default_folder

_NOBODY: Final = "0" * 64
_PLACE: Final = {
    "cri": "cri_sockets",
    "docker": "docker_socket",
    "podman": "podman_socket",
    "bundle": "host_root",
}
_ANSWER_S: Final = 0.5
_MEBIBYTE: Final = 1 << 20


def checks(settings: CollectorSettings) -> Iterator[Check]:
    """Yield what would be on: loader, sensors, discovery, spool, verdict cache. Nothing stays loaded."""
    yield _loader(settings)
    if not sensors.fault_of(settings.sensors):
        yield from _sensors(settings)
    yield from asyncio.run(_discovery(settings))
    yield _spool(settings)
    yield Check(
        "verdict cache", settings.verdict_cache, required=False,
        found="known events stay in the kernel" if settings.verdict_cache else "off by its setting",
        advice="collector.verdict_cache = true spares the CPU time of known events", section=ON,
    )  # fmt: skip


def _loader(settings: CollectorSettings) -> Check:
    try:
        plugins.load(loaders.GROUP, settings.loader)
    except plugins.PluginFault as fault:
        return Check("loader", ok=False, required=True, found=settings.loader, advice=str(fault), section=ON)
    return Check("loader", ok=True, required=True, found=settings.loader, section=ON)


def _sensors(settings: CollectorSettings) -> Iterator[Check]:
    chosen = sensors.by_name(settings.sensors)
    folder = environment.objects_folder(settings.objects)
    lacks = environment.why_not_to_load(folder, sensors.objects_of(chosen.values()))
    if lacks:
        for name in chosen:
            yield Check(
                f"sensor {name}", ok=False, required=False, found=f"not tried: {lacks}",
                advice="see above what is needed", section=ON,
            )  # fmt: skip
        return
    try:
        for name, loaded in probes.load(chosen, folder, settings):
            yield _sensor(name, loaded)
    except LibbpfFault as fault:
        yield Check("sensors", ok=False, required=True, found=str(fault), section=ON)


def _sensor(name: str, loaded: probes.Loaded) -> Check:
    found = f"by {rungs.in_words(loaded.hooks)}" if loaded.hooks else "by reading the cgroup tree"
    if loaded.left_out:
        found += f"; left out here: {rungs.in_words(loaded.left_out)}"
    if loaded.refused:
        found += f"; the rung fentry is refused: {loaded.refused}"
    return Check(
        # Without its lister, what runs already goes untold, and no more: its own hooks are loaded by then.
        f"sensor {name}", not loaded.fault, required=not loaded.hooks, found=loaded.fault or found,
        advice=f"take {name!r} out of collector.sensors, or report this line with the kernel's release",
        section=ON,
    )  # fmt: skip


async def _discovery(settings: CollectorSettings) -> list[Check]:
    return list(await asyncio.gather(*(_source(name, settings) for name in settings.discovery)))


async def _source(name: str, settings: CollectorSettings) -> Check:
    place = _PLACE.get(name, "discovery")
    advice = f"nothing to do where no container is of it; else start it or set collector.{place}"
    try:
        source: Discovery = plugins.load(GROUP, name)(settings)
    except plugins.PluginFault as fault:
        return Check(
            f"discovery {name}", ok=False, required=True, found="no plugin", advice=str(fault), section=ON
        )
    try:
        found = await _asked(source)
    finally:
        await source.close()
    return Check(
        f"discovery {name}", not found, required=False, found=found or "answers", advice=advice, section=ON
    )


async def _asked(source: Discovery) -> str:
    """Return what keeps the source from answering, or ""."""
    if not source.present():
        return "no such runtime here"
    try:
        async with asyncio.timeout(_ANSWER_S):
            await source.find(_NOBODY)
    except TimeoutError:
        return f"no answer within {_ANSWER_S:g} s"
    except DiscoveryFault as fault:
        return str(fault)
    return ""


def _spool(settings: CollectorSettings) -> Check:
    if not settings.spool_mb:
        return Check(
            "spool", ok=False, required=False, found="off by collector.spool_mb",
            advice="collector.spool_mb = 256 keeps events on disk while the broker is away", section=ON,
        )  # fmt: skip
    folder = settings.spool or default_folder()
    above = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    usable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    room = shutil.disk_usage(above).free // _MEBIBYTE
    return Check(
        "spool", usable and room >= settings.spool_mb, required=False,
        found=f"{folder}, {settings.spool_mb} MiB at most, {room} MiB free" if usable
        else f"{above} cannot be written",
        advice="set collector.spool to a folder that this user may write and that has room", section=ON,
    )  # fmt: skip
