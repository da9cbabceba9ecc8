# SPDX-License-Identifier: Apache-2.0
"""Target sets: which containers are watched. The same form in the settings and in the bucket TARGETS.

A set is a list of entries; an entry is `{"namespace": "shop", "label": "app=web*"}`. A container is
chosen when it meets all keys of any one entry; an empty list chooses every container.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from habitus.events import Container
from habitus.images import image_key

KEYS: Final = ("namespace", "label", "image", "container")
"""What an entry may name: the Pod's namespace, a label (`key` or `key=value`), the image by its reference
or its key, the container by its name or id. Each value is a pattern with `*`, `?` and `[…]`, in which `*`
also stands for `/`."""
ALL: Final = "all"
"""Key of the bucket TARGETS that holds for every node without a key of its own."""
ENTRIES_LIMIT: Final = 1000
_PATTERN_LIMIT: Final = 1000


class TargetFault(ValueError):
    """A set that cannot be used; the text says which entry and why, in one line."""


class Targets:
    """One set, checked."""

    def __init__(self, entries: Sequence[Mapping[str, str]] = ()) -> None:
        """Take the entries in.

        Raises:
            TargetFault: an entry is none.
        """
        self.entries = _checked(entries)

    @classmethod
    def read(cls, text: bytes) -> "Targets":
        """Read a set from JSON.

        Raises:
            TargetFault: no JSON, or no such set.
        """
        try:
            return cls(msgspec.json.decode(text))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            if isinstance(error, TargetFault):
                raise
            raise TargetFault(f"no JSON: {error}") from None

    def write(self) -> bytes:
        """Return the set as JSON."""
        return msgspec.json.encode(self.entries)

    def choose(self, container: Container, labels: Mapping[str, str]) -> bool:
        """Say whether this container is to be watched."""
        return not self.entries or any(
            all(_meets(key, pattern, container, labels) for key, pattern in entry.items())
            for entry in self.entries
        )

    def __eq__(self, other: object) -> bool:
        """Two sets of the same entries are the same."""
        return isinstance(other, Targets) and self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]


def _checked(entries: Any) -> list[dict[str, str]]:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise TargetFault('not a list of entries such as [{"namespace": "shop"}]')
    if len(entries) > ENTRIES_LIMIT:
        raise TargetFault(f"{len(entries)} entries, at most {ENTRIES_LIMIT}")
    for number, entry in enumerate(entries, 1):
        fault = _fault_of(entry)
        if fault:
            raise TargetFault(f"entry {number}: {fault}")
    return [dict(entry) for entry in entries]


def _fault_of(entry: Any) -> str | None:
    known = ", ".join(KEYS)
    if not isinstance(entry, Mapping):
        return f"not an object with any of the keys {known}"
    if not entry:
        return f"empty: it needs at least one of the keys {known}"
    for key, pattern in entry.items():
        if key not in KEYS:
            return f"no key {key!r:.60}; there are {known}"
        if not isinstance(pattern, str) or not pattern or len(pattern) > _PATTERN_LIMIT:
            return f"{key}: not a pattern of 1 to {_PATTERN_LIMIT} characters"
    return None


def _meets(key: str, pattern: str, container: Container, labels: Mapping[str, str]) -> bool:
    if key == "namespace":
        return container.pod is not None and _like(container.pod.namespace, pattern)
    if key == "image":
        image = container.image or ""
        return _like(image, pattern) or _like(image_key(image, container.image_digest), pattern)
    if key == "container":
        return _like(container.name, pattern) or _like(container.id, pattern)
    name, equals, value = pattern.partition("=")
    return any(
        _like(label, name) and (not equals or _like(content, value)) for label, content in labels.items()
    )


def _like(text: str | None, pattern: str) -> bool:
    return text is not None and fnmatchcase(text, pattern)
