# SPDX-License-Identifier: Apache-2.0
"""Other tools that watch the same: opensnoop, execsnoop, tcpconnect (libbpf-tools) and auditd."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SETTLE_S: Final = 2.5
_TRACEFS: Final = Path("/sys/kernel/tracing")


class Peer(NamedTuple):
    """One tool: the workload that it watches, and the command without which it cannot be measured."""

    name: str
    workload: str
    binaries: tuple[str, ...]


SNOOPS: Final = (
    Peer("opensnoop", "open", ("opensnoop-libbpf", "opensnoop")),
    Peer("execsnoop", "spawn", ("execsnoop-libbpf", "execsnoop")),
    Peer("tcpconnect", "connect", ("tcpconnect-libbpf", "tcpconnect")),
)
AUDIT_CALLS: Final = {
    "open": "open,openat,openat2,creat",
    "spawn": "execve,execveat",
    "connect": "connect,accept,accept4",
}


class PeerFault(RuntimeError):
    """A peer that cannot run here, or that saw nothing; one line."""


@contextlib.contextmanager
def tracefs() -> Iterator[None]:
    """Mount tracefs for tools that attach by classic tracepoints, where it is not mounted."""
    if (_TRACEFS / "events").is_dir():
        yield
        return
    subprocess.run(["mount", "-t", "tracefs", "none", str(_TRACEFS)], check=False, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(_TRACEFS)], check=False, capture_output=True)


@contextlib.contextmanager
def snoop(peer: Peer, scratch: Path) -> Iterator[None]:
    """Run one of the libbpf tools around a workload.

    Raises:
        PeerFault: it is not installed, does not start, or saw nothing of the workload.
    """
    binary = next((found for name in peer.binaries if (found := shutil.which(name))), None)
    if binary is None:
        raise PeerFault(f"{peer.name} is not installed: apt-get install libbpf-tools")
    out = scratch / f"{peer.name}.out"
    with out.open("wb") as file:
        process = subprocess.Popen([binary], stdout=file, stderr=subprocess.STDOUT)
    try:
        time.sleep(_SETTLE_S)
        if process.poll() is not None:
            words = out.read_text(errors="replace").strip().splitlines()
            raise PeerFault(f"{words[-1] if words else 'it ended at once'} (kernel without kprobes?)")
        yield
    finally:
        process.terminate()
        process.wait(10)
    seen = out.read_bytes().count(b"\n")
    out.unlink()
    if seen < 100:  # a header and chance, but no workload
        raise PeerFault(f"{peer.name} saw nothing of the workload")


@contextlib.contextmanager
def auditd(scratch: Path) -> Iterator[None]:
    """Run auditd with one rule a class, writing to a log of its own.

    Raises:
        PeerFault: it is not installed, does not run here, or saw nothing.
    """
    if not shutil.which("auditd") or not shutil.which("auditctl"):
        raise PeerFault("auditd is not installed: apt-get install auditd")
    folder = scratch / "audit"
    folder.mkdir(exist_ok=True)
    log = folder / "audit.log"
    (folder / "auditd.conf").write_text(
        f"log_file = {log}\nlog_format = RAW\nflush = NONE\nmax_log_file = 4096\n"
        "max_log_file_action = IGNORE\nspace_left = 1\nspace_left_action = IGNORE\n"
        "admin_space_left = 0\nadmin_space_left_action = IGNORE\ndisk_full_action = IGNORE\n"
        "disk_error_action = IGNORE\nname_format = NONE\nlocal_events = yes\nwrite_logs = yes\n"
    )
    process = subprocess.Popen(
        ["auditd", "-n", "-c", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(1)
        if process.poll() is not None:
            raise PeerFault("auditd does not run here (another one, or no audit in this kernel)")
        _rules("-a")
        yield
    finally:
        _rules("-d")
        subprocess.run(["auditctl", "-e", "0"], check=False, capture_output=True)
        process.terminate()
        process.wait(10)
    seen = log.stat().st_size if log.exists() else 0
    shutil.rmtree(folder)
    if seen < 100_000:  # its own start and end alone
        raise PeerFault("auditd saw nothing of the workload")


def _rules(way: str) -> None:
    if way == "-a":
        subprocess.run(["auditctl", "-e", "1"], check=False, capture_output=True)
        subprocess.run(["auditctl", "-b", "65536"], check=False, capture_output=True)
    for calls in AUDIT_CALLS.values():
        command = ["auditctl", way, "always,exit", "-F", "arch=b64"]
        for call in calls.split(","):
            command += ["-S", call]
        done = subprocess.run([*command, "-k", "bench"], check=False, capture_output=True, text=True)
        if done.returncode and way == "-a":
            raise PeerFault(f"auditctl: {done.stderr.strip()[:200]}")
