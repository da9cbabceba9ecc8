# SPDX-License-Identifier: Apache-2.0
"""Sigma rules written for auditd's log, over our events.

An exec is what auditd writes as records EXECVE (a0, a1, …) and SYSCALL, a file event as PATH and
SYSCALL. Rules that ask for other records, or for the numbers of a system call, are refused.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionItem
from sigma.types import SigmaString

from habitus.events import Event
from habitus_scorer.sigma.faults import Unsupported

SERVICE: Final = "auditd"
PREFIX: Final = "auditd."
"""Before the fields' names, so that a rule of another log source cannot use them by mistake."""

_TYPES: Final = {"process": ("EXECVE", "SYSCALL"), "file": ("PATH", "SYSCALL")}
_KNOWN: Final = frozenset(name.lower() for names in _TYPES.values() for name in names)
_NAME_TYPES: Final = {"create": "CREATE", "link": "CREATE", "unlink": "DELETE"}
_ARGUMENTS: Final = 16

Found = str | Sequence[str] | None


def _argument(number: int) -> Callable[[Event], Found]:
    def read(event: Event) -> Found:
        argv = event.process.argv if event.process and event.op == "exec" else None
        return argv[number] if argv and number < len(argv) else None

    return read


FIELDS: Final[dict[str, Callable[[Event], Found]]] = {
    f"{PREFIX}type": lambda event: _TYPES.get(event.class_),
    f"{PREFIX}exe": lambda event: event.process.exe if event.process else None,
    f"{PREFIX}comm": lambda event: event.process_name,
    f"{PREFIX}name": lambda event: (event.file.new_path or event.file.path) if event.file else None,
    f"{PREFIX}nametype": lambda event: _NAME_TYPES.get(event.op, "NORMAL") if event.file else None,
    **{f"{PREFIX}a{number}": _argument(number) for number in range(_ARGUMENTS)},
}
"""What a rule may ask for."""


def is_told(event: Event) -> bool:
    """Say whether auditd would have records of what `event` tells, as far as rules ask for them."""
    return event.class_ == "file" or (event.class_ == "process" and event.op == "exec")


def rename(node: Any) -> None:
    """Put the prefix before each field of a parsed condition.

    Raises:
        Unsupported: a record or a field of auditd's that our events do not stand for.
    """
    if isinstance(node, ConditionFieldEqualsValueExpression):
        if node.field == "type":
            _check(node.value)
        if f"{PREFIX}{node.field}" not in FIELDS:
            raise Unsupported(f"auditd's field {node.field!r} is not told by our events", node.field)
        node.field = f"{PREFIX}{node.field}"
    elif isinstance(node, ConditionItem):
        for part in node.args:
            rename(part)


def _check(value: Any) -> None:
    if not (isinstance(value, SigmaString) and str(value).lower() in _KNOWN):
        raise Unsupported(f"auditd's record {str(value)!r} is not collected", "type")
