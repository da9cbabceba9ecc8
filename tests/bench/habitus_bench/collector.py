# SPDX-License-Identifier: Apache-2.0
"""What the collector costs, beside its peers: `make bench-collector`.

Every round puts the same loops through every subject in turn, on one CPU: unmonitored; the collector with
everything known; while learning; a process that is not watched; opensnoop, execsnoop, tcpconnect; auditd. A
figure `X.added_ns` is the median over the rounds of (subject − unmonitored), each within its round.

`--only spawn`, or another part, measures that part alone; `--no-peers` leaves the other tools out.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from habitus import wire
from habitus_bench import figures, peers
from habitus_bench.figures import Readings
from habitus_bench.line import Line, cpu_seconds, resident_mb
from habitus_bench.workload import Workload
from habitus_cgroups import container
from habitus_collector import cgroups

_COUNTS: Final = {"open": 200_000, "spawn": 1000, "connect": 10_000, "mixed": 1000}
_PARTS: Final = (*_COUNTS, "steady", "storm")
_REPEATS: Final = 3
_STORM_S: Final = 4
_STORM_RATES: Final = (5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000)
_STEADY_TURNS_S: Final = 100
_STEADY_S: Final = 10
_WIRE_EXECS: Final = 300
_OUT: Final = Path("build/bench/collector.json")
_SETTLE_S: Final = 4.0  # revisions are told every two seconds, and verdicts come back within milliseconds
_FILE_CALL: Final = "on_file_call"
"""The program by which files are seen at the end of every system call; another rung has none such."""


class Bench:
    """One run: the line, the containers' cgroups, and what was read so far."""

    def __init__(self, scratch: Path, tree: Path, parts: Collection[str], *, peers: bool) -> None:
        self.modes = tuple(mode for mode in _COUNTS if mode in parts)
        self.peers = peers
        self.workload = Workload(scratch)
        self.scratch = scratch
        self.tree = tree
        self.line = Line(scratch)
        self.readings = Readings()
        self.figures: dict[str, float] = {}
        self.faults: list[str] = []

    def loops(self, subject: str, cgroup: Path | None, modes: Collection[str] = tuple(_COUNTS)) -> None:
        """Time each loop a few times and keep the best: what disturbs only ever adds."""
        for mode in self.modes:
            if mode not in modes:
                continue
            best = min(self.workload.nanoseconds(mode, _COUNTS[mode], cgroup) for _ in range(_REPEATS))
            self.readings.add(mode, subject, best)

    async def teach(self, cgroup: Path) -> None:
        """Let the profiler learn every loop, and judge from then on."""
        with self.line.collector():
            for mode in _COUNTS:
                await asyncio.to_thread(self.workload.nanoseconds, mode, 200, cgroup)
            await asyncio.to_thread(self.workload.nanoseconds, "steady", 20, cgroup, _STEADY_TURNS_S)
            await asyncio.sleep(1)
        await self.line.learned()

    async def round(self, known: Path) -> None:
        """Every subject once."""
        with container(self.tree) as other:
            await asyncio.to_thread(self.loops, "none", other)
        with self.line.collector() as process:
            await self._warm(known)
            used = cpu_seconds(process.child.pid)
            began = time.monotonic()
            await asyncio.to_thread(self.loops, "known", known)
            self._say("collector while all is known", used, began, process.child.pid)
            await asyncio.to_thread(self.loops, "unwatched", None)
            with container(self.tree) as fresh:
                used, began = cpu_seconds(process.child.pid), time.monotonic()
                await asyncio.to_thread(self.loops, "learning", fresh)
                self._say("collector while learning", used, began, process.child.pid)
        if self.peers:
            with peers.tracefs():
                await asyncio.to_thread(self._peers)

    async def _warm(self, known: Path) -> None:
        await asyncio.sleep(_SETTLE_S)
        for _ in range(3):
            for mode in _COUNTS:
                await asyncio.to_thread(self.workload.nanoseconds, mode, 200, known)
            await asyncio.sleep(1.2)  # the same deed is told once a second: each gets its verdict

    def _peers(self) -> None:
        for peer in peers.SNOOPS:
            if peer.workload not in self.modes:
                continue
            self._beside(peer.name, lambda peer=peer: peers.snoop(peer, self.scratch), (peer.workload,))
        self._beside("auditd", lambda: peers.auditd(self.scratch), tuple(_COUNTS))

    def _beside(self, name: str, start: Callable[[], object], modes: tuple[str, ...]) -> None:
        if any(fault.startswith(name) for fault in self.faults):
            return
        try:
            with start(), container(self.tree) as other:  # type: ignore[attr-defined]
                self.loops(name, other, modes)
        except peers.PeerFault as fault:
            self.faults.append(f"{name}: {fault}")

    def _say(self, what: str, used: float, began: float, pid: int) -> None:
        share = 100 * (cpu_seconds(pid) - used) / (time.monotonic() - began)
        sys.stderr.write(f"  {what}: {share:.1f} % of a core\n")

    async def steady(self, known: Path) -> None:
        """Processor use of the collector while a container works and everything is known."""
        with self.line.collector() as process:
            await self._warm(known)
            await asyncio.to_thread(self.workload.nanoseconds, "steady", 100, known, _STEADY_TURNS_S)
            await asyncio.sleep(1.5)
            await asyncio.to_thread(self.workload.nanoseconds, "steady", 100, known, _STEADY_TURNS_S)
            before = await self._events()
            used, began = cpu_seconds(process.child.pid), time.monotonic()
            count = _STEADY_S * _STEADY_TURNS_S
            await asyncio.to_thread(self.workload.nanoseconds, "steady", count, known, _STEADY_TURNS_S)
            share = 100 * (cpu_seconds(process.child.pid) - used) / (time.monotonic() - began)
            await asyncio.sleep(3)
            status = await self.line.status()
            self.figures["steady.user_cpu_percent"] = share
            self.figures["steady.events_to_user_space"] = sum(status.events.values()) - before
            for name, value in status.known.items():
                self.figures[f"steady.known_events.{name}"] = value

    async def _events(self) -> int:
        await asyncio.sleep(3)
        return sum((await self.line.status()).events.values())

    async def storm(self) -> None:
        """The highest rate of events, each of them news, at which none is lost."""
        self.workload.fill(max(_STORM_RATES) * _STORM_S)
        self.figures["storm.events_per_s"] = 0
        with self.line.collector() as process:
            for rate in _STORM_RATES:
                lost, took = await self._storm(rate, process.child.pid)
                sys.stderr.write(f"  storm of {rate} events/s: {lost} lost, done after {took:.1f} s\n")
                if rate == 20_000:  # the budget
                    self.figures["storm.lost_at_20000"] = lost
                if lost:
                    break
                self.figures["storm.events_per_s"] = _STORM_S * rate / took
                self.figures["storm.lost"] = lost
            self.figures["rss_mb"] = resident_mb(process.child.pid)
            await self._wire()

    async def _storm(self, rate: int, pid: int) -> tuple[float, float]:
        await asyncio.sleep(3)
        before = await self.line.status()
        with container(self.tree) as fresh:
            began = time.monotonic()
            await asyncio.to_thread(self.workload.nanoseconds, "fresh", rate * _STORM_S, fresh, rate)
            took = time.monotonic() - began
            await self._quiet(pid)
        await asyncio.sleep(3)
        after = await self.line.status()
        came = sum(after.events.values()) - sum(before.events.values())
        lost = sum(after.lost.values()) - sum(before.lost.values())
        if not lost and came < rate * _STORM_S:
            raise RuntimeError(f"of {rate * _STORM_S} events {came} came, and none is said to be lost")
        return lost, took

    async def _quiet(self, pid: int) -> None:
        used = -1.0
        while cpu_seconds(pid) - used > 0.05:  # of half a second: it has caught up
            used = cpu_seconds(pid)
            await asyncio.sleep(0.5)

    async def _wire(self) -> None:
        subscription = await self.line.bus.nc.subscribe("habitus.events.process.*")
        waits = []
        with container(self.tree) as fresh:
            for _ in range(_WIRE_EXECS):
                await asyncio.to_thread(self.workload.nanoseconds, "open", 1, fresh)
                found = None
                while found is None:
                    message = await subscription.next_msg(timeout=5)
                    events = wire.decode(wire.EventBatch, message.data).events
                    found = next((event for event in events if event.op == "exec"), None)
                waits.append((time.time_ns() - found.ts) / 1e6)
                await asyncio.sleep(0.02)
        await subscription.unsubscribe()
        self.figures["exec_to_wire_p99_ms"] = sorted(waits)[int(len(waits) * 0.99) - 1]

    def conclude(self) -> dict[str, float]:
        """Return every figure, those of the loops first."""
        found: dict[str, float] = {}
        for mode in _COUNTS:
            base = self.readings.median(mode, "none")
            if base is not None:
                found[f"{mode}.none_ns"] = base
            for subject in ("known", "learning", "unwatched", *(p.name for p in peers.SNOOPS), "auditd"):
                added = self.readings.added(mode, subject)
                if added is not None:
                    found[f"{mode}.{subject}.added_ns"] = added
        return found | self.figures


async def main() -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(prog="bench-collector", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", action="append", choices=_PARTS, help="measure this part; no file is written"
    )
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--out", type=Path, help="file of the figures of a whole run")
    arguments = parser.parse_args()
    parts = arguments.only or _PARTS
    tree = cgroups.mount_point()
    if os.geteuid() or tree is None:
        sys.stderr.write("bench-collector: needs root and a mounted cgroup v2 tree\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="habitus-bench-") as name:
        bench = Bench(Path(name), tree, parts, peers=not arguments.no_peers)
        await bench.line.start()
        try:
            await _measure(bench, parts, arguments.rounds)
        finally:
            await bench.line.stop()
    found = bench.conclude()
    figures.table(found)
    rung = "fentry" if found["file_rung.fentry"] else "sys_exit"
    sys.stdout.write(f"measured with the file sensor by {rung} (collector.file_rung)\n")
    for fault in bench.faults:
        sys.stdout.write(f"not measured: {fault}\n")
    if arguments.out or not arguments.only:
        figures.write(arguments.out or _OUT, found)
    return 0


async def _measure(bench: Bench, parts: Collection[str], rounds: int) -> None:
    with container(bench.tree) as known:
        if {*parts} != {"storm"}:
            await bench.teach(known)
        for number in range(rounds if bench.modes else 0):
            sys.stderr.write(f"round {number + 1} of {rounds}\n")
            await bench.round(known)
        if "steady" in parts:
            sys.stderr.write("steady state\n")
            await bench.steady(known)
    if "storm" in parts:
        sys.stderr.write("storm\n")
        await bench.storm()
    status = await bench.line.status()  # the last one that a collector told
    bench.figures["file_rung.fentry"] = float(_FILE_CALL not in status.hooks)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
