# SPDX-License-Identifier: Apache-2.0
"""Names containers by what their runtimes leave on disk, where no socket can be asked.

Labels of the Pod, its addresses and the image's digest are not in these files.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from habitus.events import Container, Pod
from habitus.images import familiar
from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, Identity, Tell
from habitus_collector.discovery.references import is_image_id, labels_of, pod_of

FILE_LIMIT: Final = 4 << 20
"""Bytes of a file at most: a larger one is a fault. A process list of a container has some 10 kB."""
_ID: Final = re.compile(r"[0-9a-f]{64}")
_CONTAINERD: Final = (
    "run/containerd/io.containerd.runtime.v2.task/k8s.io",
    "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
)
_STORAGE: Final = ("var/lib/containers/storage/overlay-containers",)
_DOCKER: Final = ("var/lib/docker/containers",)
_CRI: Final = "io.kubernetes.cri."
_CRI_O: Final = "io.kubernetes.cri-o."
_SHAPE: Final = (KeyError, TypeError, AttributeError, ValueError, RecursionError)

Read = Callable[[Path, str], Identity | None]


class BundleDiscovery:
    """Reads containerd's and CRI-O's bundles, Podman's and Docker's notes of their containers."""

    name = "bundle"
    last_resort = True
    """It knows less than a runtime says: taken only where none answers."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._root = settings.host_root

    def present(self) -> bool:
        """Say whether any runtime's folder is there."""
        return next(self._places(), None) is not None

    async def find(self, container_id: str) -> Identity | None:
        """Return the container, or None when no runtime has noted it.

        Raises:
            DiscoveryFault: a file is not what its runtime writes; the text names it.
        """
        if not _ID.fullmatch(container_id):
            return None
        said = None
        for folder, read in self._places():
            try:
                found = read(folder, container_id)
            except _SHAPE as fault:
                why = f"{type(fault).__name__}: {fault}".splitlines()[0][:100]
                said = f"bundle: {folder}, container {container_id[:12]}: {why}"
                continue
            if found:
                return found
        if said:
            raise DiscoveryFault(said)
        return None

    async def follow(self, tell: Tell) -> None:
        """Files tell nothing by themselves."""

    async def close(self) -> None:
        """Nothing is held open."""

    def _places(self) -> Iterator[tuple[Path, Read]]:
        kinds: tuple[tuple[tuple[str, ...], Read], ...] = (
            (_CONTAINERD, _of_containerd),
            (_STORAGE, _of_storage),
            (_DOCKER, _of_docker),
        )
        for names, read in kinds:
            for name in names:
                if (self._root / name).is_dir():
                    yield self._root / name, read


def _of_containerd(folder: Path, container_id: str) -> Identity | None:
    """Read the OCI bundle, whose annotations are those of containerd's CRI part."""
    config = _json(folder / container_id / "config.json")
    notes = {} if config is None else _texts(config["annotations"])
    kind = notes.get(f"{_CRI}container-type")
    if kind is None:
        return None
    pod = Pod(*(notes.get(f"{_CRI}sandbox-{key}") for key in ("name", "namespace", "uid")))
    name, image = (notes.get(f"{_CRI}{key}-name") for key in ("container", "image"))
    return _identity(Container(container_id, name, image, pod=pod), sandbox=kind == "sandbox")


def _of_storage(folder: Path, container_id: str) -> Identity | None:
    """Read CRI-O's bundle, else the list in which the storage of Podman and CRI-O notes what is whose."""
    config = _json(folder / container_id / "userdata" / "config.json")
    notes = {} if config is None else _texts(config.get("annotations") or {})
    kind = notes.get(f"{_CRI_O}ContainerType")
    if kind is not None:
        labels = _texts(json.loads(notes.get(f"{_CRI_O}Labels") or "{}"))
        name, image = notes.get("io.kubernetes.container.name"), notes.get(f"{_CRI_O}ImageName")
        container = Container(container_id, name, image, pod=pod_of(notes))
        return _identity(container, labels, sandbox=kind == "sandbox")
    for noted in _json(folder / "containers.json") or ():
        if noted["id"] == container_id:
            said = json.loads(noted.get("metadata") or "{}")
            name = said.get("name") or next(iter(noted.get("names") or ()), None)
            return _identity(Container(container_id, name, said.get("image-name")))
    return None


def _of_docker(folder: Path, container_id: str) -> Identity | None:
    """Read what Docker keeps of a container: the same words as its API."""
    found = _json(folder / container_id / "config.v2.json")
    if found is None:
        return None
    labels = _texts(found["Config"].get("Labels") or {})
    name = labels.get("io.kubernetes.container.name") or found["Name"].removeprefix("/")
    container = Container(container_id, name, found["Config"].get("Image"), pod=pod_of(labels))
    sandbox = labels.get("io.kubernetes.docker.type") == "podsandbox"
    return _identity(container, labels, sandbox=sandbox)


def _identity(
    container: Container, labels: Mapping[str, str] | None = None, *, sandbox: bool = False
) -> Identity | None:
    image = container.image
    if not sandbox and (not image or is_image_id(image)):
        return None  # an id that nobody could look up is no better than none
    container.image = familiar(image or "")
    return Identity(container, sandbox, labels or {}, partial=True)


def _texts(labels: Any) -> dict[str, str]:
    return labels_of(dict(labels))


def _json(path: Path) -> Any:
    """Return the document, or None where there is no such file."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(error.strerror) from None
    if len(text) > FILE_LIMIT:
        raise ValueError(f"{path.name} has more than {FILE_LIMIT >> 20} MiB")
    return json.loads(text)
