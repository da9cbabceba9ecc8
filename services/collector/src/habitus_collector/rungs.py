# SPDX-License-Identifier: Apache-2.0
"""The ladder: where a sensor has two objects, the cheaper one is taken if this kernel takes it."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from habitus_collector.libbpf import BpfObject, LibbpfFault
from habitus_collector.sensors import Sensor

AUTO: Final = "auto"
FENTRY: Final = "fentry"
SYS_EXIT: Final = "sys_exit"
_TOTALS: Final = "use_"
"""Names of the programs that only the setting `collector.file_totals` needs begin so."""


class Taken(NamedTuple):
    """The object that was loaded for a sensor. `refused`: why the cheaper one was not, or ""."""

    object: str
    refused: str = ""


def climb(sensor: Sensor, rung: str, load: Callable[[str], object]) -> Taken:
    """Have the cheapest object of a sensor loaded that the setting and this kernel allow.

    `load` gets the file name of an object; it raises LibbpfFault, and leaves nothing, where it is refused.

    Raises:
        LibbpfFault: the kernel takes none, or not the one that the setting asks for.
    """
    assert sensor.object  # noqa: S101  # asked of those that have programs
    if not sensor.cheaper or rung == SYS_EXIT:
        load(sensor.object)
        return Taken(sensor.object)
    try:
        load(sensor.cheaper)
    except LibbpfFault as fault:
        if rung == FENTRY:
            raise
        load(sensor.object)
        return Taken(sensor.object, str(fault))
    return Taken(sensor.cheaper)


def leave_out(opened: BpfObject, programs: Iterable[str], *, file_totals: bool) -> None:
    """Leave out these programs of an object that has them, and those that no setting asks for."""
    left = {*programs, *(name for name in opened.names() if not file_totals and name.startswith(_TOTALS))}
    for program in sorted(left):
        opened.leave_out(program)


def in_words(sections: Iterable[str], at_most: int = 3) -> str:
    """Return what programs hang on: `fexit (24)` where more than so many hang on hooks of one kind."""
    kinds: dict[str, list[str]] = {}
    for section in sections:
        kinds.setdefault(section.removeprefix("?").partition("/")[0], []).append(section)
    counted = {FENTRY, "fexit"}
    words = (
        [f"{kind} ({len(names)})"] if kind in counted and len(names) > at_most else names
        for kind, names in kinds.items()
    )
    return ", ".join(word for each in words for word in each)
