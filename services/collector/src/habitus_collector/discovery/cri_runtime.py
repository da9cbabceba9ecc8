# SPDX-License-Identifier: Apache-2.0
"""One runtime behind one CRI socket."""

from typing import Final

from habitus.cri import runtime_pb2 as cri
from habitus.cri.client import CriClient, CriFault, CriUnknown, CriUnsupported
from habitus.events import Container, Pod
from habitus.images import familiar
from habitus_collector.discovery import DiscoveryFault, Identity, Tell
from habitus_collector.discovery.references import digest_of, is_image_id, labels_of, pod_of

_TIMEOUT_S: Final = 2
_NEWS: Final = frozenset({cri.CONTAINER_CREATED_EVENT, cri.CONTAINER_STARTED_EVENT})
Listed = cri.Container | cri.ContainerStatus
"""A container in a list and in an event: the same fields as far as they are read here."""


class CriRuntime:
    """Finds containers by id, resolves their images' names, and follows the runtime's events."""

    def __init__(self, socket: str) -> None:
        self._client = CriClient(socket, timeout_s=_TIMEOUT_S)
        self._images: list[cri.Image] = []

    async def find(self, container_id: str) -> Identity | None:
        """Return the container or the sandbox with this id, or None.

        Raises:
            DiscoveryFault: the runtime does not answer.
        """
        try:
            return await self._container(container_id) or await self._sandbox(container_id)
        except CriFault as fault:
            raise DiscoveryFault(str(fault)) from None

    async def follow(self, tell: Tell) -> None:
        """Tell of the containers that exist, then of each that is made or started.

        Returns when the runtime has no such stream.

        Raises:
            DiscoveryFault: the stream broke.
        """
        try:
            async for event in self._client.container_events():
                if event.container_event_type in _NEWS:
                    identity = await self._of_event(event)
                    if identity:
                        tell(identity)
        except CriUnsupported:
            return
        except CriFault as fault:
            raise DiscoveryFault(str(fault)) from None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _of_event(self, event: cri.ContainerEventResponse) -> Identity | None:
        """Ask for what the event names; where it is gone already, the event itself says enough."""
        sandbox = event.pod_sandbox_status
        if event.container_id == sandbox.id:
            return _pause(sandbox.id, sandbox.metadata)
        found = await self._container(event.container_id, sandbox)
        if found:
            return found
        for status in event.containers_statuses:
            if status.id == event.container_id:
                return await self._identity(status, sandbox)
        return None

    async def _container(
        self, container_id: str, sandbox: cri.PodSandboxStatus | None = None
    ) -> Identity | None:
        for listed in await self._client.list_containers(running=False, container_id=container_id):
            if listed.id == container_id:
                if sandbox is None or not sandbox.id:
                    sandbox = await self._status_of(listed.pod_sandbox_id)
                return await self._identity(listed, sandbox)
        return None

    async def _sandbox(self, container_id: str) -> Identity | None:
        for listed in await self._client.list_sandboxes(container_id):
            if listed.id == container_id:
                return _pause(listed.id, listed.metadata)
        return None

    async def _status_of(self, sandbox_id: str) -> cri.PodSandboxStatus:
        try:
            return await self._client.sandbox_status(sandbox_id)
        except CriUnknown:  # removed meanwhile
            return cri.PodSandboxStatus()

    async def _identity(self, listed: Listed, sandbox: cri.PodSandboxStatus) -> Identity:
        image, digest = await self._image(listed)
        pod = pod_of(listed.labels)
        container = Container(listed.id, listed.metadata.name, image, digest, pod)
        return Identity(
            container, labels=labels_of({**sandbox.labels, **listed.labels}), ips=_addresses(sandbox)
        )

    async def _image(self, listed: Listed) -> tuple[str, str | None]:
        image = await self._content(listed)
        wanted = listed.image.user_specified_image or listed.image.image
        if image is None:
            return familiar(wanted), None
        if is_image_id(wanted):  # as a kubelet writes it
            wanted = next(iter([*image.repo_tags, *image.repo_digests]), wanted)
        return familiar(wanted), digest_of(wanted, image.repo_digests)

    async def _content(self, listed: Listed) -> cri.Image | None:
        """Return the image that the container was made of; its name may be another image's by now."""
        exact = {listed.image_ref, listed.image_id} - {""}
        image = self._known(exact)
        if image is None or not _names_it(image, listed):
            self._images = await self._client.list_images()
            image = self._known(exact) or self._known({listed.image.image})
        return image

    def _known(self, names: set[str]) -> cri.Image | None:
        for image in self._images:
            if not names.isdisjoint((image.id, *image.repo_tags, *image.repo_digests)):
                return image
        return None


def _pause(sandbox_id: str, metadata: cri.PodSandboxMetadata) -> Identity:
    pod = Pod(metadata.name, metadata.namespace, metadata.uid)
    return Identity(Container(id=sandbox_id, name="POD", pod=pod), sandbox=True)


def _addresses(sandbox: cri.PodSandboxStatus) -> tuple[str, ...]:
    """Return the Pod's own addresses; one in the node's network has none."""
    if sandbox.linux.namespaces.options.network == cri.NODE:
        return ()
    found = [sandbox.network.ip, *(address.ip for address in sandbox.network.additional_ips)]
    return tuple(dict.fromkeys(address for address in found if address))


def _names_it(image: cri.Image, listed: Listed) -> bool:
    """Say whether what is known of the image has the name that the container asked for, and its digest."""
    wanted = listed.image.user_specified_image or listed.image.image
    if is_image_id(wanted):
        return bool(image.repo_tags or image.repo_digests)
    return digest_of(wanted, image.repo_digests) is not None
