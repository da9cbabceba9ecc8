# SPDX-License-Identifier: Apache-2.0
"""Asks the profilers: each partition has one owner, and the request goes to it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from habitus import bills
from habitus.asking import ask
from habitus.bus import Bus
from habitus.images import PARTITIONS, partition_of
from habitus.profiles import ProfileDetail, ProfileReply, ProfileRequest, ProfileSummary

_PATIENCE_S: Final = 600.0
_QUICK_S: Final = 5.0
_CHANGE_S: Final = 30.0
_IMPORT_S: Final = 60.0
_LARGEST: Final = 900_000
_NAMED: Final = 5


class ProfilesFault(RuntimeError):
    """A profiler did not answer, or refused; the text says which and why."""


class ProfilesAway(ProfilesFault):
    """No profiler answered: later it may."""


async def summaries(bus: Bus) -> list[ProfileSummary]:
    """Return every profile at a glance, by image key."""
    replies = await _ask_all(bus, "list", {}, timeout_s=_QUICK_S)
    return sorted((one for reply in replies for one in reply.summaries), key=lambda one: one.image_key)


async def detail(bus: Bus, image_key: str) -> ProfileDetail:
    """Return one profile with its tries.

    Raises:
        ProfilesFault: no such profile.
    """
    request = ProfileRequest(image_key=image_key)
    reply = await _ask(bus, "show", partition_of(image_key), request, timeout_s=_QUICK_S)
    if reply.detail is None:
        raise ProfilesFault(reply.error or f"no profile of {image_key}")
    return reply.detail


async def named(bus: Bus, asked: str) -> str:
    """Return the image key `asked`, else the one that, or whose name behind the registry, begins so.

    Raises:
        ProfilesFault: no profile's does, or several do.
    """
    if not asked:
        raise ProfilesFault("an empty name names no profile; see `habitus profile list`")
    if await summary(bus, asked) is not None:
        return asked
    keys = [one.image_key for one in await summaries(bus)]
    begun = [key for key in keys if key.startswith(asked) or _name(key).startswith(asked)]
    if not begun:
        raise ProfilesFault(f"no profile of {asked}; see `habitus profile list`")
    if len(begun) > 1:
        more = ", …" if len(begun) > _NAMED else ""
        raise ProfilesFault(f"{asked} is not one profile but several: {', '.join(begun[:_NAMED])}{more}")
    return begun[0]


def _name(key: str) -> str:
    """`nginx@sha256:…` of `docker.io/library/nginx@sha256:…`."""
    repository, at, digest = key.partition("@")
    return repository.rpartition("/")[2] + at + digest


async def summary(bus: Bus, image_key: str) -> ProfileSummary | None:
    """Return one profile at a glance, None when there is none."""
    reply = await _ask(bus, "list", partition_of(image_key), ProfileRequest(), timeout_s=_QUICK_S)
    return next((one for one in reply.summaries if one.image_key == image_key), None)


async def change(bus: Bus, operation: str, image_key: str, **fields: Any) -> ProfileReply:
    """Ask the owner of a profile for one of the operations of `ProfileRequest`.

    Raises:
        ProfilesFault: no such profile, or it refuses; the text says why.
    """
    request = ProfileRequest(image_key=image_key, **fields)
    return await _ask(bus, operation, partition_of(image_key), request, timeout_s=_CHANGE_S)


async def document(bus: Bus, image_key: str) -> dict[str, Any]:
    """Return one profile as a document, to be read or kept.

    Raises:
        ProfilesFault: no such profile.
    """
    reply = await _ask(
        bus, "export", partition_of(image_key), ProfileRequest(image_key=image_key), timeout_s=_QUICK_S
    )
    try:
        return bills.unpacked(reply.bill)
    except ValueError as fault:
        raise ProfilesFault(f"partition {partition_of(image_key)} sent no profile: {fault}") from None


async def take(bus: Bus, image_key: str, document: dict[str, Any], *, replace: bool) -> None:
    """Give a document to the profiler as the profile of an image.

    Raises:
        ProfilesFault: it is no profile, or the image has one and `replace` is not asked for.
    """
    request = ProfileRequest(image_key=image_key, bill=bills.packed(document), replace=replace)
    if len(request.bill) > _LARGEST:
        raise ProfilesFault(f"the document takes {len(request.bill)} bytes, more than a message holds")
    await _ask(bus, "import", partition_of(image_key), request, timeout_s=_IMPORT_S)


async def synchronise(bus: Bus, after: Mapping[int, int]) -> None:
    """Return when every partition has applied EVENTS up to its sequence in `after`."""
    await _ask_all(bus, "sync", after)


async def converge(bus: Bus, after: Mapping[int, int], *, freeze: bool) -> None:
    """Turn every profile to detect once EVENTS up to `after` is applied; `freeze`: learn no new image."""
    await _ask_all(bus, "converge", after, freeze=freeze)


async def _ask_all(
    bus: Bus,
    operation: str,
    after: Mapping[int, int],
    *,
    freeze: bool = False,
    timeout_s: float = _PATIENCE_S,
) -> list[ProfileReply]:
    requests = (
        _ask(
            bus, operation, partition, ProfileRequest(after=after.get(partition, 0), freeze=freeze), timeout_s
        )
        for partition in range(PARTITIONS)
    )
    return await asyncio.gather(*requests)


async def _ask(
    bus: Bus, operation: str, partition: int, request: ProfileRequest, timeout_s: float
) -> ProfileReply:
    try:
        reply = await ask(bus, operation, partition, request, timeout_s)
    except TimeoutError as error:
        raise ProfilesAway(f"partition {partition} has no profiler: {error}") from None
    except ValidationError as error:
        raise ProfilesFault(f"partition {partition} answers in another language: {error}") from None
    if reply.error and operation != "show":
        whose = request.image_key or f"partition {partition}"
        raise ProfilesFault(reply.error if whose in reply.error else f"{whose}: {reply.error}")
    return reply
