# SPDX-License-Identifier: Apache-2.0
"""What policies need of an exported profile: its programs, operations on files, and network peers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple


class PolicyFault(ValueError):
    """No safe policy can be made of this profile; the text says why."""


class Flow(NamedTuple):
    """One habit of the network: `way` is `egress` or `ingress`; `port` a number, `<high>` or `-`."""

    way: str
    protocol: str
    peer: str
    port: str


@dataclass(frozen=True)
class Target:
    """What a Kubernetes policy is for. `labels` choose Pods: without any it would be for all of them."""

    name: str
    namespace: str
    labels: dict[str, str]


@dataclass
class Policy:
    """A ready policy, and where it is looser than the profile or knows less, a sentence each."""

    document: dict[str, Any]
    remarks: list[str]


def settled(document: dict[str, Any]) -> None:
    """Refuse a profile that still learns.

    Raises:
        PolicyFault: what it has not seen yet would be held against the workload.
    """
    if document["state"] not in {"detect", "locked"}:
        raise PolicyFault(
            f"{document['image']} still learns ({document['state']}): no policy from half a profile"
        )


def programs(document: dict[str, Any]) -> set[str]:
    """Return the paths of every program that ran."""
    leaves = (leaf for names in document["processes"].values() for leaf in names.values())
    return {program for leaf in leaves for program in leaf["programs"]}


def files(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (operation group, path) of every habit on files."""
    for groups in document["files"].values():
        for group, paths in groups.items():
            yield from ((group, path) for path in paths)


def flows(document: dict[str, Any]) -> set[Flow]:
    """Return every habit of the network."""
    found = set()
    for ways in document["peers"].values():
        for way, peers in ways.items():
            direction, _, protocol = way.partition(" ")
            for peer, ports in peers.items():
                found |= {Flow(direction, protocol, peer, port.lstrip("/")) for port in ports}
    return found


_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 63


def name_of(image_key: str) -> str:
    """Return a name that Kubernetes takes: lower case letters, digits and dashes."""
    plain = _NOT_IN_NAMES.sub("-", image_key.split("@", 1)[0].rsplit("/", 1)[-1].lower())
    return f"habitus-{plain}"[:_LONGEST_NAME].strip("-")


def metadata(target: Target) -> dict[str, Any]:
    """Return the metadata of a Kubernetes object.

    Raises:
        PolicyFault: without labels it would be for every Pod of the namespace.
    """
    if not target.labels:
        raise PolicyFault("which Pods? give --selector KEY=VALUE: without one it would be for all of them")
    return {"name": target.name, "namespace": target.namespace}
