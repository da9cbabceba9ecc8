# SPDX-License-Identifier: Apache-2.0
"""A recording that a bench makes: events of the interchange format, and which deed each belongs to."""

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ORDINARY = ""
SECOND = 10**9


@dataclass
class Process:
    """A process of a unit; `line` from the parent up to the container's first process.

    `started`, `parent_started`: nanoseconds since the epoch; 0 for who is outside of the container.
    """

    pid: int
    ppid: int
    name: str
    exe: str
    argv: list[str]
    line: list[str]
    started: int = 0
    parent_started: int = 0


@dataclass
class Unit:
    """One container: a replica of a workload."""

    image: str
    pod: str
    number: int
    first: Process | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The container as an event tells it; the same unit has the same ids in every recording."""
        digest = hashlib.sha256(f"{self.image}/{self.pod}".encode()).hexdigest()
        pod = {"name": self.pod, "namespace": "shop", "uid": f"{digest[:8]}-0000-4000-8000-{digest[8:20]}"}
        return {"id": digest, "name": self.pod.rsplit("-", 1)[0], "image": self.image, "pod": pod}


@dataclass
class Tape:
    """Events in any order of making; written in the order of their time."""

    seed: int
    begin: int
    records: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    _pid: int = 1000

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - the same day every time is the point

    def run(
        self, unit: Unit, at: float, argv: list[str], by: Process | None = None, exe: str = "",
        *, deed: str = ORDINARY,
    ) -> Process:  # fmt: skip
        """Tell that `by` (else the unit's first process) ran a program; return the new process."""
        parent = by or unit.first
        path = exe or (argv[0] if argv[0].startswith("/") else f"/usr/bin/{argv[0]}")
        self._pid += 1
        line = [parent.name, *parent.line] if parent else []
        ppid = parent.pid if parent else 0
        name = path.rsplit("/", 1)[-1].rsplit(":", 1)[-1][:15]
        began = parent.started if parent else 0
        made = Process(self._pid, ppid, name, path, argv, line, self._moment(at), began)
        if unit.first is None:
            unit.first = made
        self._tell(unit, at, "process", "exec", made, deed=deed)
        return made

    def file(self, unit: Unit, at: float, by: Process, op: str, path: str, *flags: str, **more: str) -> None:
        """Tell of a file; `flags` of an open are `read` and `write`."""
        deed = more.pop("deed", ORDINARY)
        part = {"path": path, **({"flags": list(flags)} if flags else {}), **more}
        self._tell(unit, at, "file", op, by, deed=deed, file=part)

    def flow(self, unit: Unit, at: float, by: Process, to: str, port: int, *, deed: str = ORDINARY) -> None:
        """Tell of a connect to a name or an address."""
        peer = {"remote_ip": to} if to[0].isdigit() else {"domain": to, "remote_ip": self._address(to)}
        part = {"direction": "egress", "protocol": "tcp", "remote_port": port, **peer}
        self._tell(unit, at, "network", "connect", by, deed=deed, network=part)

    def accepted(self, unit: Unit, at: float, by: Process, sender: str, port: int) -> None:
        """Tell of an accepted connection."""
        part = {"direction": "ingress", "protocol": "tcp", "remote_ip": sender, "local_port": port}
        self._tell(unit, at, "network", "accept", by, deed=ORDINARY, network=part)

    def used(self, unit: Unit, at: float, cores: float) -> None:
        """Tell of processor use: by this the profiler counts the replicas."""
        record = {"class": "cpu", "op": "usage", "container": unit.record}
        record["usage"] = {"cores": round(cores, 3), "window_s": 5}
        self._keep(at, ORDINARY, record)

    def write(self, path: Path) -> list[str]:
        """Write the recording; return the deed of each line."""
        self.records.sort(key=lambda one: one[0])
        with path.open("w", encoding="utf-8") as file:
            for _, _, record in self.records:
                file.write(json.dumps(record) + "\n")
        return [deed for _, deed, _ in self.records]

    def _tell(
        self, unit: Unit, at: float, kind: str, op: str, by: Process, *, deed: str, **parts: dict[str, Any]
    ) -> None:
        process = {
            "pid": by.pid, "ppid": by.ppid, "exe": by.exe, "name": by.name, "argv": by.argv, "uid": 0,
            "parent": by.line[0] if by.line else "", "ancestors": by.line,
        }  # fmt: skip
        if op == "exec" and by.parent_started:
            process["parent_started"] = by.parent_started
        record = {"class": kind, "op": op, "container": unit.record, "process": process, **parts}
        self._keep(at, deed, record)

    def _keep(self, at: float, deed: str, record: dict[str, Any]) -> None:
        moment = self._moment(at)
        self.records.append((moment, deed, {"ts": moment, "node": "bench", **record}))

    def _moment(self, at: float) -> int:
        return self.begin + int(at * SECOND)

    @staticmethod
    def _address(name: str) -> str:
        digest = hashlib.sha256(name.encode()).digest()
        inside = name.endswith((".svc", ".internal"))
        return f"10.96.{digest[0]}.{digest[1]}" if inside else f"203.0.113.{digest[0]}"
