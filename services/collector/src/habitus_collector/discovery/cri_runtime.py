# SPDX-License-Identifier: Apache-2.0
"""One runtime behind one CRI socket."""

from typing import Final

from habitus.cri import runtime_pb2 as cri
from habitus.cri.client import CriClient, CriFault
from habitus.events import Container, Pod
from habitus.images import familiar
from habitus_collector.discovery import DiscoveryFault, Identity
from habitus_collector.discovery.references import digest_of, is_image_id, pod_of

_TIMEOUT_S: Final = 2


class CriRuntime:
    """Finds containers by id and resolves their images' names."""

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

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _container(self, container_id: str) -> Identity | None:
        for listed in await self._client.list_containers(running=False):
            if listed.id == container_id:
                image, digest = await self._image(listed)
                name = listed.metadata.name
                return Identity(Container(container_id, name, image, digest, pod_of(listed.labels)))
        return None

    async def _sandbox(self, container_id: str) -> Identity | None:
        for listed in await self._client.list_sandboxes():
            if listed.id == container_id:
                pod = Pod(listed.metadata.name, listed.metadata.namespace, listed.metadata.uid)
                return Identity(Container(id=container_id, name="POD", pod=pod), sandbox=True)
        return None

    async def _image(self, listed: cri.Container) -> tuple[str, str | None]:
        image = await self._content(listed)
        wanted = listed.image.user_specified_image or listed.image.image
        if image is None:
            return familiar(wanted), None
        if is_image_id(wanted):  # as a kubelet writes it
            wanted = next(iter([*image.repo_tags, *image.repo_digests]), wanted)
        return familiar(wanted), digest_of(wanted, image.repo_digests)

    async def _content(self, listed: cri.Container) -> cri.Image | None:
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


def _names_it(image: cri.Image, listed: cri.Container) -> bool:
    """Say whether what is known of the image has the name that the container asked for, and its digest."""
    wanted = listed.image.user_specified_image or listed.image.image
    if is_image_id(wanted):
        return bool(image.repo_tags or image.repo_digests)
    return digest_of(wanted, image.repo_digests) is not None
