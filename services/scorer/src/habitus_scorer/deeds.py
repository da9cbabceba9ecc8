# SPDX-License-Identifier: Apache-2.0
"""What makes two anomalies the same: their pattern within a container, their deed across containers."""

import re
from hashlib import blake2b
from typing import Final

from habitus.anomalies import Anomaly
from habitus.events import Network

# Within a word digits tell (sha256sum, base64): only numbers and ids that stand alone are volatile.
_VOLATILE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:(\d{1,3}(?:\.\d{1,3}){3})|[0-9a-f]{8,}|\d+)(?![0-9A-Za-z])"
)
_PRIVATE: Final = re.compile(r"0\.|10\.|127\.|169\.254\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.")
_NAME_THAT_TELLS: Final = 8
"""A Pod's name as long as this is no ordinary word: in arguments it stands for the Pod itself."""


def container_of(anomaly: Anomaly) -> str:
    """Return what a process id belongs to: the container's id, else the image key."""
    return anomaly.event.container.id or anomaly.image_key


def pattern_of(anomaly: Anomaly, *, weighs: bool) -> str:
    """Return a digest of what repeats when the same departure happens again in a container.

    Of an image of which nothing is known, all that is faint is one pattern; what weighs is told apart.
    """
    steps = _steps(anomaly) if weighs else anomaly.path[1:]
    return digest(anomaly.image_key, anomaly.reason, *steps)


def deed_of(anomaly: Anomaly) -> str:
    """Return a digest of the deed, the same in every container of the image.

    Finer than a pattern: the arguments count too. Numbers, ids, private addresses and the Pod's own
    name do not, for replicas differ in them; a public address does: another one is another attacker.
    """
    event = anomaly.event
    argv = event.process.argv if event.process and event.op == "exec" else None
    texts = "\0".join(_steps(anomaly)), "\0".join(argv or ())
    pod = event.container.pod.name if event.container.pod else None
    if pod and len(pod) >= _NAME_THAT_TELLS:
        texts = texts[0].replace(pod, "#"), texts[1].replace(pod, "#")
    return digest(anomaly.image_key, anomaly.reason, event.op, *map(_softened, texts))


def peer_of(network: Network) -> str:
    """Return the other end of a flow: name, address or socket, and the port."""
    name = network.domain or network.remote_ip or network.path or "?"
    port = network.remote_port or network.local_port
    return f"{name}:{port}" if port and not network.path else name


def _steps(anomaly: Anomaly) -> list[str]:
    """Return the trie path below the image, or what stands for it where the image was never learned."""
    if len(anomaly.path) > 1:
        return anomaly.path[1:]
    event = anomaly.event
    peer = peer_of(event.network) if event.network else ""
    path = event.file.path if event.file else None
    return [event.class_, event.op, event.parent_name, event.process_name, _softened(path or peer)]


def digest(*parts: str) -> str:
    """Return 16 hex digits; no two lists of parts give the same bytes."""
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _softened(text: str) -> str:
    return _VOLATILE.sub(_typed, text)


def _typed(match: re.Match[str]) -> str:
    address: str | None = match[1]
    return address if address and not _PRIVATE.match(address) else "#"
