# SPDX-License-Identifier: Apache-2.0
"""One runtime behind one socket that speaks the Docker API: what it says of containers."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from habitus.events import Container
from habitus.images import familiar
from habitus_collector.discovery import DiscoveryFault, Identity, Tell
from habitus_collector.discovery.references import digest_of, is_image_id, labels_of, pod_of
from habitus_collector.discovery.unix_http import HttpFault, UnixHttp

_TIMEOUT_S: Final = 2
_AT_ONCE: Final = 4
_FILTERS: Final = json.dumps({"type": ["container"], "event": ["create", "start"]})
_EVENTS: Final = f"/events?filters={quote(_FILTERS)}"
# What a document of another shape does to whoever reads it.
_SHAPE: Final = (KeyError, TypeError, AttributeError, ValueError)


class DockerRuntime:
    """Finds containers by id, and follows the engine's events."""

    def __init__(self, socket: Path) -> None:
        self._http = UnixHttp(socket, _TIMEOUT_S)

    async def find(self, container_id: str) -> Identity | None:
        """Return the container, or None when this runtime does not know it.

        Raises:
            DiscoveryFault: the socket does not answer as it should.
        """
        try:
            found = await self._http.get("containers", container_id, "json")
            if found is None:
                return None
            image = await self._http.get("images", found["Image"], "json") or {}  # removed while one runs
            return _identity(found, image, await self._network_of(found))
        except HttpFault as fault:
            raise DiscoveryFault(str(fault)) from None
        except _SHAPE as fault:
            raise DiscoveryFault(f"an answer of another shape: {fault!r:.100}") from None

    async def follow(self, tell: Tell) -> None:
        """Tell of containers that are made or started, until the engine ends the stream.

        Raises:
            DiscoveryFault: the socket does not answer as it should.
        """
        few = asyncio.Semaphore(_AT_ONCE)
        tasks: set[asyncio.Task[None]] = set()
        try:
            async with contextlib.aclosing(self._http.lines(_EVENTS)) as events:
                async for event in events:
                    await few.acquire()
                    task = asyncio.create_task(self._tell(event, tell, few))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        except HttpFault as fault:
            raise DiscoveryFault(f"events: {fault}") from None
        finally:
            for task in tasks:
                task.cancel()

    async def _tell(self, event: Any, tell: Tell, few: asyncio.Semaphore) -> None:
        try:
            identity = await self._of_event(event)
        finally:
            few.release()
        if identity:
            tell(identity)

    async def _of_event(self, event: Any) -> Identity | None:
        """Ask for what the event names; where it is gone already, the event itself says enough."""
        try:
            actor = event["Actor"]
            container_id, attributes = str(actor["ID"]), dict(actor["Attributes"])
        except _SHAPE:
            return None
        with contextlib.suppress(DiscoveryFault):  # an engine that is removing it may answer with a fault
            found = await self.find(container_id)
            if found:
                return found
        return await self._by_words(container_id, attributes)

    async def _by_words(self, container_id: str, attributes: dict[str, str]) -> Identity | None:
        reference = attributes.get("image")
        if not reference:
            return None  # `find` is asked again when the container's cgroup comes
        image: dict[str, Any] = {}
        with contextlib.suppress(HttpFault):  # without the image there is no digest, and still a name
            image = await self._http.get("images", reference, "json") or {}
        try:
            return _told(container_id, attributes, image)
        except _SHAPE:
            return None

    async def _network_of(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return the container whose network this one has: itself, or another that it joined."""
        kind, _, other = str((found.get("HostConfig") or {}).get("NetworkMode") or "").partition(":")
        if kind == "host":
            return {}
        if kind == "container" and other:
            return await self._http.get("containers", other, "json") or {}
        return found


def _identity(found: dict[str, Any], image: dict[str, Any], network: dict[str, Any]) -> Identity:
    config = found.get("Config") or {}
    labels = labels_of(config.get("Labels") or {})
    reference = config.get("Image") or found["Image"]
    if is_image_id(reference):
        reference = next(iter(image.get("RepoTags") or ()), reference)
    container = Container(
        id=found["Id"],
        name=labels.get("io.kubernetes.container.name") or found["Name"].removeprefix("/"),
        image=familiar(reference),
        image_digest=digest_of(reference, image.get("RepoDigests") or ()),
        pod=pod_of(labels),
    )
    ips = tuple(dict.fromkeys(_addresses(network.get("NetworkSettings") or {})))
    return Identity(container, _is_sandbox(labels, reference), labels, ips)


def _told(container_id: str, attributes: dict[str, str], image: dict[str, Any]) -> Identity:
    """Return what an event says by itself: the labels lie among its other words."""
    labels = {key: value for key, value in attributes.items() if key not in ("image", "name")}
    config = {"Labels": labels, "Image": attributes["image"]}
    found = {"Id": container_id, "Name": attributes.get("name", ""), "Config": config}
    return _identity(found, image, {})


def _addresses(settings: dict[str, Any]) -> Iterator[str]:
    for place in (settings, *(settings.get("Networks") or {}).values()):
        for key in ("IPAddress", "GlobalIPv6Address"):
            address = (place or {}).get(key)
            if address:
                yield str(address)


def _is_sandbox(labels: dict[str, str], reference: str) -> bool:
    of_docker = labels.get("io.kubernetes.docker.type") == "podsandbox"
    return of_docker or reference.startswith("localhost/podman-pause:")
