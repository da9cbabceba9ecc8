# SPDX-License-Identifier: Apache-2.0
"""The normal form of a question: what a verdict depends on, so that 100 Pods ask once.

Left out is what differs between replicas and runs of the same deed: moments, ids of containers and
Pods, pids, the client's port, amounts. In texts only what is an id by its form is typed (UUIDs,
timestamps, Pod suffixes, long hex ids): a wider form would let a deed borrow another's verdict.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from habitus.judging import JudgeRequest

_LEFT_OUT: Final = {"ts", "node", "id", "token"}
_PARTS: Final[dict[str, frozenset[str]]] = {
    "container": frozenset({"id", "name", "pod"}),
    "process": frozenset({"pid", "ppid", "parent_started"}),
    "file": frozenset({"bytes"}),
    "network": frozenset({"sent", "received", "duration_ns"}),
}
_IDS: Final = (
    (re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "{uuid}"),
    (re.compile(r"\b20\d\d-[01]\d-[0-3]\d(?:[T _][0-2]\d[:.-]?[0-5]\d(?:[:.-]?[0-5]\d(?:\.\d+)?)?(?:Z|"
        r"[+-]\d\d:?\d\d)?)?"), "{time}"),
    (re.compile(r"(?<![\d.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?![\d.])"), "{time}"),
    (re.compile(r"-[a-f0-9]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "-{pod}"),
    (re.compile(r"(?<=/proc/)\d+"), "{pid}"),
    (re.compile(r"(?<![\w/+=])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])(?:[0-9a-f]{64}|[0-9a-f]{40}|"
        r"[0-9a-f]{32})(?![\w/+=])"), "{id}"),
)  # fmt: skip
_REMEMBERED: Final = 256
"""Characters of a text whose form is kept: most of a question's fields are those of the one before."""
_encoder = msgspec.json.Encoder(order="deterministic")


def key_of(request: JudgeRequest, *about: str) -> bytes:
    """Return 16 bytes that are equal for questions with the same answer.

    Args:
        request: redacted, so that two passwords make one question.
        about: what else the answer depends on: the prompt's version, the models.
    """
    fields = request.model_dump()
    fields["event"] = _event(fields["event"])
    fields["related"] = [_event(event) for event in fields["related"]]
    return blake2b(_encoder.encode([about, _typed(fields)]), digest_size=16).digest()


def _event(event: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in event.items() if key not in _LEFT_OUT}
    for part, names in _PARTS.items():
        if isinstance(kept.get(part), dict):
            kept[part] = {key: value for key, value in kept[part].items() if key not in names}
    network = kept.get("network")
    if isinstance(network, dict) and network.get("direction") == "egress":
        network.pop("local_port", None)  # a client's; a server's own is what it serves
    return kept


def _typed(value: Any) -> Any:
    if isinstance(value, str):
        return _typed_text(value) if len(value) <= _REMEMBERED else _with_ids_typed(value)
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return value


def _with_ids_typed(text: str) -> str:
    for pattern, name in _IDS:
        text = pattern.sub(name, text)
    return text


_typed_text = lru_cache(2048)(_with_ids_typed)
