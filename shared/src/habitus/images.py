# SPDX-License-Identifier: Apache-2.0
"""Image keys and partitions: what a profile belongs to and which stream it travels on."""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

PARTITIONS: Final = 32


def familiar(image: str) -> str:
    """Return `webapp:v1` for `docker.io/library/webapp:v1`: runtimes differ in how they spell it."""
    return image.removeprefix("index.docker.io/").removeprefix("docker.io/").removeprefix("library/")


@lru_cache(maxsize=4096)
def image_key(image: str, digest: str | None = None) -> str:
    """Return `repository@digest` when the digest is known, else `repository:tag`.

    `image` is a reference (`repository[:tag][@digest]`); without a tag `latest` is meant. A bare
    image id (`sha256:…`) has no repository and is its own key. Docker Hub's prefix does not count.
    """
    if image.startswith("sha256:"):
        return image
    reference, _, embedded = familiar(image).partition("@")
    repository, tag = _split_tag(reference)
    digest = digest or embedded
    return f"{repository}@{digest}" if digest else f"{repository}:{tag}"


def _split_tag(reference: str) -> tuple[str, str]:
    repository, colon, tag = reference.rpartition(":")
    # A colon before the last slash belongs to a registry's port.
    if not colon or "/" in tag:
        return reference, "latest"
    return repository, tag


@lru_cache(maxsize=4096)
def partition_of(key: str) -> int:
    """Return the partition of an image key, 0 … PARTITIONS-1, the same on every machine."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % PARTITIONS


def repository_of(key: str) -> str:
    """Return the repository of an image key; empty for a bare image id, which has none."""
    if key.startswith("sha256:"):
        return ""
    repository, at, _ = key.partition("@")
    return repository if at else _split_tag(key)[0]
