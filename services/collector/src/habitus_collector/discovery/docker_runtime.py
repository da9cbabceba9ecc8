# SPDX-License-Identifier: Apache-2.0
"""One runtime behind one socket that speaks the Docker API. Every call blocks."""

from pathlib import Path
from typing import Any, Final

import docker  # type: ignore[import-untyped]
import docker.errors  # type: ignore[import-untyped]
import requests

from habitus.events import Container
from habitus.images import familiar
from habitus_collector.discovery import DiscoveryFault, Identity
from habitus_collector.discovery.references import digest_of, is_image_id, pod_of

_TIMEOUT_S: Final = 2
_ANY_VERSION: Final = "1.40"
_FAULTS: Final = (docker.errors.DockerException, requests.RequestException)


class DockerRuntime:
    """Finds containers by id.

    Raises:
        DiscoveryFault: from every method: the socket does not answer.
    """

    def __init__(self, socket: Path) -> None:
        try:
            self._client = _connect(f"unix://{socket}")
        except _FAULTS as fault:
            raise DiscoveryFault(_first_line(fault)) from None

    def find(self, container_id: str) -> Identity | None:
        """Return the container, or None when this runtime does not know it."""
        try:
            found = self._client.inspect_container(container_id)
        except docker.errors.NotFound:
            return None
        except _FAULTS as fault:
            raise DiscoveryFault(_first_line(fault)) from None
        return _identity(found, self._image(found["Image"]))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _image(self, image_id: str) -> dict[str, Any]:
        try:
            image: dict[str, Any] = self._client.inspect_image(image_id)
        except docker.errors.NotFound:  # removed while a container of it runs
            return {}
        except _FAULTS as fault:
            raise DiscoveryFault(_first_line(fault)) from None
        return image


def _connect(url: str) -> Any:
    # The SDK's own "auto" asks for all versions, for which Podman starts runc and conmon: 160 ms, in which
    # a short container comes and goes. The ping carries the one that matters.
    with docker.APIClient(url, version=_ANY_VERSION, timeout=_TIMEOUT_S) as client:
        answer = client.get(f"{client.base_url}/_ping", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        version = answer.headers.get("Api-Version", _ANY_VERSION)
    return docker.APIClient(url, version=version, timeout=_TIMEOUT_S)


def _first_line(fault: Exception) -> str:
    return (str(fault) or type(fault).__name__).splitlines()[0]


def _identity(found: dict[str, Any], image: dict[str, Any]) -> Identity:
    config = found.get("Config") or {}
    labels = config.get("Labels") or {}
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
    return Identity(container, sandbox=_is_sandbox(labels, reference))


def _is_sandbox(labels: dict[str, str], reference: str) -> bool:
    of_docker = labels.get("io.kubernetes.docker.type") == "podsandbox"
    return of_docker or reference.startswith("localhost/podman-pause:")
