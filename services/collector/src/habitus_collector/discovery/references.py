# SPDX-License-Identifier: Apache-2.0
"""Image references as runtimes write them, brought to one form."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from habitus.events import Pod
from habitus.images import familiar

_IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_KUBELETS: Final = "io.kubernetes."
_LABELS_LIMIT: Final = 128
_LABEL_LIMIT: Final = 1024
_DIGEST: Final = re.compile(r"@(sha256:[0-9a-f]{64})$")


def is_image_id(reference: str) -> bool:
    """Say whether this names an image by its content only, as a kubelet does."""
    return _IMAGE_ID.fullmatch(reference) is not None


def digest_of(reference: str, repo_digests: Iterable[str]) -> str | None:
    """Return the digest under which the repository of `reference` knows the image, or None."""
    repository = _repository(familiar(reference))
    for entry in repo_digests:
        match = _DIGEST.search(entry)
        if match and familiar(entry[: match.start()]) == repository:
            return match[1]
    return None


def _repository(reference: str) -> str:
    name = reference.split("@", 1)[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def labels_of(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are texts of a sensible length, not too many of them: images bring theirs."""
    kept: dict[str, str] = {}
    for key, value in sorted(labels.items(), key=lambda label: not label[0].startswith(_KUBELETS)):
        if isinstance(value, str) and len(key) + len(value) <= _LABEL_LIMIT:
            kept[key] = value
        if len(kept) == _LABELS_LIMIT:
            break
    return kept


def pod_of(labels: Mapping[str, str]) -> Pod | None:
    """Return the Pod that a kubelet's labels name, or None."""
    pod = Pod(
        name=labels.get("io.kubernetes.pod.name"),
        namespace=labels.get("io.kubernetes.pod.namespace"),
        uid=labels.get("io.kubernetes.pod.uid"),
    )
    return pod if pod.name or pod.uid else None
