# SPDX-License-Identifier: Apache-2.0
"""A glance at an event: of its message only what its key is made of, and what is counted.

Most events are known, and reading the whole of one costs more than knowing it. A glance passes over
what no verdict depends on, and leaves lists as they stand on the wire (`msgspec.Raw`, without a copy).
"""

from typing import Final

import msgspec

from habitus.events import Number, Op, Part
from habitus_profiler.keys import EVIDENCE, NOTHING, Key, evidence_key, file_key, network_key, process_key

_ABSENT: Final = msgspec.Raw()


class _Actor(Part):
    name: str | None = None


class _Program(Part):
    exe: str | None = None
    name: str | None = None
    parent: str | None = None
    argv: msgspec.Raw = _ABSENT
    ancestors: msgspec.Raw = _ABSENT
    exe_class: str | None = None


class _File(Part):
    path: str | None = None
    new_path: str | None = None
    flags: msgspec.Raw = _ABSENT
    bytes: msgspec.Raw = _ABSENT


class _Network(Part):
    direction: str | None = None
    protocol: str | None = None
    remote_ip: str | None = None
    remote_port: Number | None = None
    local_port: Number | None = None
    domain: str | None = None
    path: str | None = None
    peer: msgspec.Raw = _ABSENT


class Glance(Part, kw_only=True, tag_field="class"):
    """What an event of any class shows at a glance; `container` is a `habitus.events.Container`."""

    ts: Number
    node: str | None = None
    op: Op
    container: msgspec.Raw
    token: bytes = b""

    def key(self) -> Key | None:
        """Return what `keys.key_of` returns of the whole event, or None: look at the whole.

        Raises:
            msgspec.DecodeError: a list on the wire is none.
        """
        return None


class ProcessGlance(Glance, kw_only=True, tag="process"):
    """Of a process; only the first of a container has no parent."""

    process: _Program | None = None

    def key(self) -> Key | None:
        """Return the key of an exec, or of what is evidence."""
        process, op = self.process, self.op
        if process is None:
            return None
        if op != "exec":
            return evidence_key("process", op) if op in EVIDENCE else None
        if not process.name or not (process.parent or bytes(process.ancestors) in NOTHING):
            return None
        return process_key(
            process.name, process.parent or "", process.exe, process.exe_class, bytes(process.argv)
        )


class FileGlance(Glance, kw_only=True, tag="file"):
    """Of a file."""

    process: _Actor | None = None
    file: _File | None = None

    def key(self) -> Key | None:
        """Return the key of what was done to a file."""
        process, file, op = self.process, self.file, self.op
        if file is None or not file.path:
            return None
        if op in EVIDENCE:
            return evidence_key("file", op)
        if process is None or not process.name:
            return None
        told, flags = file.bytes is not _ABSENT, bytes(file.flags)
        return file_key(op, process.name, file.path, file.new_path, told=told, flags=flags)


class NetworkGlance(Glance, kw_only=True, tag="network"):
    """Of a flow."""

    process: _Actor | None = None
    network: _Network | None = None

    def key(self) -> Key | None:
        """Return the key of a flow."""
        process, net, op = self.process, self.network, self.op
        if net is None:
            return None
        if op in EVIDENCE:
            return evidence_key("network", op)
        if process is None or not process.name:
            return None
        return network_key(
            op,
            process.name,
            direction=net.direction,
            protocol=net.protocol,
            domain=net.domain,
            remote_ip=net.remote_ip,
            remote_port=net.remote_port,
            local_port=net.local_port,
            path=net.path,
            peer=bytes(net.peer),
        )


class UsageGlance(Glance, kw_only=True, tag="cpu"):
    """Of a container's use of processors: each is looked at whole."""


AnyGlance = ProcessGlance | FileGlance | NetworkGlance | UsageGlance
