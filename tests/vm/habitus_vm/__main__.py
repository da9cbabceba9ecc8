# SPDX-License-Identifier: Apache-2.0
"""The kernel matrix: `python -m habitus_vm [SERIES …]`; see tests/vm/README.md."""

import argparse
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from habitus_vm import kernels, machine
from habitus_vm.kernels import Kernel, KernelFault
from habitus_vm.machine import Outcome, Size

MATRIX: Final = ("6.1", "6.12", "6.18")
ROOT: Final = Path(__file__).resolve().parents[3]
_CONSOLE_LINES: Final = 40


@dataclass(frozen=True)
class Row:
    """What became of one kernel."""

    series: str
    release: str = "-"
    outcome: Outcome | None = None
    says: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command ran and gave 0."""
        return self.outcome is not None and self.outcome.status == 0 and not self.outcome.fault


def main() -> int:
    """Run the command under each kernel; 0 when it gave 0 under every one."""
    arguments = _parser().parse_args()
    rows = [_run(series, arguments) for series in arguments.series or MATRIX]
    _say(_table(rows))
    return 0 if all(row.ok for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m habitus_vm", description=__doc__)
    parser.add_argument("series", nargs="*", help=f"kernels, such as 6.12 (default: {' '.join(MATRIX)})")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="the sources under test")
    parser.add_argument("--command", help="run this by sh instead of the tests")
    parser.add_argument("--tests", default="", help="these tests only, as pytest's arguments")
    parser.add_argument("--limit", type=float, default=900, help="seconds that one kernel may take")
    parser.add_argument("--accelerator", default=Size().accelerator, help="QEMU's -accel")
    parser.add_argument("--count", action="store_true", help="one CPU, and a clock that counts instructions")
    parser.add_argument("--refresh", action="store_true", help="look for a newer release of each kernel")
    return parser


def _run(series: str, arguments: argparse.Namespace) -> Row:
    try:
        kernel = kernels.have(series, refresh=arguments.refresh)
        _say(f"{series}: boots {kernel.release}")
        row = _boot(series, kernel, arguments)
    except KernelFault as fault:
        row = Row(series, says=str(fault))
    _say(f"{series}: {'ok' if row.ok else 'FAILED'} ({row.says})")
    return row


def _boot(series: str, kernel: Kernel, arguments: argparse.Namespace) -> Row:
    checkout = arguments.checkout.resolve()
    command = arguments.command or f"exec sh {ROOT}/tests/vm/suite.sh {arguments.tests}"
    last = ""

    def hear(line: str) -> None:
        nonlocal last
        last = line or last
        _say(f"{series} | {line}")

    with tempfile.TemporaryDirectory(prefix="habitus-vm-") as name:
        scratch = Path(name)
        outcome = machine.run(
            kernel,
            f"cd {shlex.quote(str(checkout))} || exit\n{command}\n",
            scratch,
            limit_s=arguments.limit,
            size=Size.counting() if arguments.count else Size(accelerator=arguments.accelerator),
            mounts=_mounts(checkout, Path(sys.base_prefix)),
            hear=hear,
        )
        kept = _keep(scratch, ROOT / "build" / "vm" / series)
    if outcome.fault:
        _say(_tail(kept / "console"))
    return Row(series, kernel.release, outcome, (outcome.fault or last).strip(" ="))


def _mounts(*wanted: Path) -> tuple[Path, ...]:
    """Return the mount points other than / on which these paths lie: the guest sees only what is bound."""
    found: dict[Path, None] = {}
    for path in wanted:
        point = next(place for place in (path, *path.parents) if place.is_mount())
        if point != Path("/"):
            found[point] = None
    return tuple(found)


def _keep(scratch: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for source in (scratch / "console", scratch / "log", scratch / "work" / "output"):
        target = folder / source.name
        target.unlink(missing_ok=True)
        if source.is_file():
            shutil.copy(source, target)
    return folder


def _tail(console: Path) -> str:
    lines = console.read_text(errors="backslashreplace").splitlines() if console.is_file() else []
    return "\n".join([*lines[-_CONSOLE_LINES:], f"the whole console is in {console}"])


def _table(rows: list[Row]) -> str:
    lines = [("kernel", "release", "boot s", "all s", "result")]
    for row in rows:
        booted, took = (row.outcome.booted_s, row.outcome.took_s) if row.outcome else (0.0, 0.0)
        result = f"{'ok' if row.ok else 'FAILED'}: {row.says}"
        lines.append((row.series, row.release, f"{booted:.0f}", f"{took:.0f}", result))
    widths = [max(len(line[at]) for line in lines) for at in range(4)]
    text = ["  ".join([*map(str.ljust, line, widths), line[4]]).rstrip() for line in lines]
    return "\n".join(["", *text])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
