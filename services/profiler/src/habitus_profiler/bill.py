# SPDX-License-Identifier: Apache-2.0
"""A profile as a document that people read and keep in git: the bill of an image's behaviour.

All that a verdict depends on is in it but the vectors, which are numbers of one model: the texts that
they stand for are, and whoever imports asks his own embedder. docs/profiles.md describes the form.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from habitus_profiler import snapshot
from habitus_profiler.convergence import Rule
from habitus_profiler.judgement import Limits
from habitus_profiler.leaf import Leaf
from habitus_profiler.profile import Profile

KIND: Final = "profile"
SCHEMA: Final = "1.5"
_BEFORE_TELLING: Final = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4"})  # as in `snapshot`
_NAMES: Final = {"exes": "programs", "forms": "arguments", "texts": "compared"}
_OPTIONAL: Final[Mapping[str, Any]] = {"absorbed": [], "pending": {}, "texts": []}
_OWN: Final = ("process", "file", "network", "image_key", "state", "model")
_HERE: Final = ("partition", "stream", "applied")
_FILE_KEYS: Final = 2
_NETWORK_KEYS: Final = 3


class BillFault(ValueError):
    """A document that is no profile; the text says what is wrong, in one line."""


class Imported(NamedTuple):
    """A profile without its vectors, and the texts that each leaf compares by."""

    profile: Profile
    compared: list[tuple[Leaf, list[str]]]


def exported(profile: Profile) -> dict[str, Any]:
    """Return the profile as plain mappings, lists and scalars."""
    record: dict[str, Any] = msgspec.to_builtins(snapshot.recorded(profile, ""), str_keys=True)
    learned = {key: value for key, value in record.items() if key not in {*_OWN, *_HERE}}
    return {
        "habitus": KIND,
        "schema": SCHEMA,
        "image": profile.image_key,
        "state": profile.state,
        "model": profile.model,
        "processes": {
            parent: {name: _leaf_out(leaf) for name, leaf in sorted(names.items())}
            for parent, names in sorted(record["process"].items())
        },
        "files": _folded(record["file"], _FILE_KEYS),
        "peers": _folded(record["network"], _NETWORK_KEYS),
        "learned": learned,
    }


def imported(document: Mapping[str, Any], limits: Limits, rule: Rule) -> Imported:
    """Return the profile that a document describes.

    Raises:
        BillFault: another kind or schema, a key that is missing or of the wrong type.
    """
    if document.get("habitus") != KIND:
        raise BillFault("no profile: the key `habitus` must say `profile`")
    schema = str(document.get("schema"))
    if schema.split(".", 1)[0] != SCHEMA.split(".", 1)[0]:
        raise BillFault(f"a profile of schema {schema[:20]!r}; this service reads {SCHEMA}")
    try:
        found = _imported(document, limits, rule)
        if schema in _BEFORE_TELLING:
            for leaf in found.profile.leaves():
                leaf.retell()
    except (
        msgspec.ValidationError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as fault:
        raise BillFault(f"no profile: {type(fault).__name__} {fault}") from None
    return found


def _imported(document: Mapping[str, Any], limits: Limits, rule: Rule) -> Imported:
    record = dict(document["learned"]) | {
        "process": {
            parent: {name: _leaf_in(leaf) for name, leaf in names.items()}
            for parent, names in document["processes"].items()
        },
        "file": _unfolded(document["files"], _FILE_KEYS),
        "network": _unfolded(document["peers"], _NETWORK_KEYS),
        "image_key": document["image"],
        "state": document["state"],
        "model": document["model"],
        "partition": 0,
        "stream": "",
        "applied": [],
    }
    compared = {
        (parent, name): [str(text) for text in leaf.get("compared", [])]
        for parent, names in document["processes"].items()
        for name, leaf in names.items()
    }
    profile = snapshot.restored(record, limits, rule)
    return Imported(
        profile,
        [(profile.process[parent][name], texts) for (parent, name), texts in compared.items() if texts],
    )


def _leaf_out(leaf: Mapping[str, Any]) -> dict[str, Any]:
    slots: dict[str, list[str]] = {}
    for kind, value in leaf["slots"]:
        slots.setdefault(kind, []).append(value)
    kept = {
        _NAMES.get(key, key): value
        for key, value in leaf.items()
        if key not in {"vectors", "slots"} and not (key in _OPTIONAL and not value)
    }
    return kept | {"slots": slots}


def _leaf_in(leaf: Mapping[str, Any]) -> dict[str, Any]:
    inner = {readable: key for key, readable in _NAMES.items()}
    record = {key: list(value) if value == [] else value for key, value in _OPTIONAL.items()}
    record |= {inner.get(key, key): value for key, value in leaf.items()}
    slots = [(kind, value) for kind, values in leaf["slots"].items() for value in values]
    return record | {"slots": slots, "texts": [], "vectors": ""}


def _folded(paths: Iterable[tuple[list[str], int]], keys: int) -> dict[str, Any]:
    """Return [names, count] as nested mappings; names beyond the first `keys` are joined by slashes."""
    tree: dict[str, Any] = {}
    for names, count in paths:
        place = tree
        for name in names[:keys]:
            place = place.setdefault(name, {})
        place["/" + "/".join(map(_escaped, names[keys:]))] = count
    return tree


def _unfolded(tree: Mapping[str, Any], keys: int) -> list[tuple[list[str], int]]:
    if not keys:
        return [([_plain(name) for name in path[1:].split("/")], count) for path, count in tree.items()]
    return [
        ([name, *rest], count) for name, below in tree.items() for rest, count in _unfolded(below, keys - 1)
    ]


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _plain(name: str) -> str:
    return name.replace("%2F", "/").replace("%25", "%")
