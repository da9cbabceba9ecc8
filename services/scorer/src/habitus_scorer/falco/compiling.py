# SPDX-License-Identifier: Apache-2.0
"""A condition's tree becomes one condition on records.

What no event can ever meet (a system call that is not collected) is decided while compiling, and what
then no longer matters is not asked for: a field that we lack beside it refuses no rule.
"""

import fnmatch
import operator
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from habitus_scorer.falco import fields
from habitus_scorer.falco.grammar import LISTS, Check, ConditionFault, Many, Named, Node, Not
from habitus_scorer.falco.needs import needs_of
from habitus_scorer.needs import Condition, Predicate, Source, all_of, any_of
from habitus_scorer.sigma.faults import Unsupported
from habitus_scorer.sigma.matching import bounded

Decided = Condition | bool
"""A condition, or what every event gives."""
Test = Callable[[str], bool]
Net = IPv4Network | IPv6Network

_MOST_STEPS: Final = 50_000
_TYPES: Final = frozenset({"evt.type", "syscall.type"})
_ONLY: Final = {
    "user.name": re.compile("root"),
    "proc.env": re.compile("LD_PRELOAD.*", re.IGNORECASE),
    "evt.arg.flags": re.compile("O_(?:RDONLY|WRONLY|RDWR|CREAT|F_CREATED|TRUNC|APPEND)|AT_REMOVEDIR"),
}
"""Fields of which we know some values only; a rule that asks for another is refused."""
_ORDER: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "contains": lambda text, part: part in text,
    "icontains": lambda text, part: part.lower() in text.lower(),
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_CHANGES: Final[dict[str, Callable[[str], str]]] = {
    "": lambda text: text,
    "val": lambda text: text,
    "tolower": str.lower,
    "toupper": str.upper,
    "basename": posixpath.basename,
    "len": lambda text: str(len(text)),
}


class Compiler:
    """Compiles conditions with the macros and lists of all files.

    `narrowed` gathers what the condition lost: system calls that are not collected.
    """

    def __init__(self, macros: Mapping[str, Node], lists: Mapping[str, Sequence[str]]) -> None:
        self._macros = macros
        self._lists = lists
        self._open: list[str] = []
        self._steps = 0
        self.narrowed: set[str] = set()

    def compiled(self, node: Node) -> Decided:
        """Return the condition of `node`, or what every event gives.

        Raises:
            Unsupported: a field that we lack, a macro that is not there, a value that cannot be.
            ConditionFault: with its macros and lists it is too large.
        """
        self._step()
        match node:
            case Many(word=word, parts=parts):
                return self._many(word, parts)
            case Not(inner=inner):
                decided = self.compiled(inner)
                return (not decided) if isinstance(decided, bool) else _not(decided.holds)
            case Named(name=name):
                return self._macro(name)
            case Check():
                return self._check(node)

    def begin(self) -> None:
        """Forget what the condition before cost and lost."""
        self._steps, self.narrowed = 0, set()

    def _step(self) -> None:
        # Macros of macros and lists of lists grow exponentially.
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ConditionFault("with its macros and lists it is too large")

    def _many(self, word: str, parts: Sequence[Node]) -> Decided:
        settles = word == "or"
        found: list[Condition] = []
        lacking: Unsupported | None = None
        settled = False
        for part in parts:
            try:
                decided = self.compiled(part)
            except Unsupported as fault:
                lacking = lacking or fault
                continue
            if not isinstance(decided, bool):
                found.append(decided)
            settled = settled or decided is settles
        if settled:
            return settles
        if lacking:
            raise lacking
        if not found:
            return not settles
        return any_of(found) if settles else all_of(found)

    def _macro(self, name: str) -> Decided:
        if name in self._open:
            raise Unsupported(f"macro {name!r} refers to itself", name)
        if name not in self._macros:
            raise Unsupported(f"macro {name!r} is not defined", name)
        self._open.append(name)
        try:
            return self.compiled(self._macros[name])
        finally:
            self._open.pop()

    def _check(self, check: Check) -> Decided:
        values = tuple(self._expanded(check.values, ())) if check.operator in LISTS else check.values
        constant = fields.constant(check.field)
        if constant is not None:
            return _test(check, values)(str(constant))
        read = fields.reader(check.field)
        if read is None:
            raise Unsupported(f"field {check.field!r} is not among those that events have", check.field)
        self._refuse_unknown(check, values)
        if check.field in _TYPES:
            values = self._collected(check, values)
            if not values:
                return check.operator == "!="
        source = Source(f"falco {check.field}", read)
        return Condition(_predicate(check, values, read), needs_of(check, values, source))

    def _expanded(self, values: Sequence[str], inside: tuple[str, ...]) -> Sequence[str]:
        found: list[str] = []
        for value in values:
            self._step()
            if value in self._lists and value not in inside:
                found += self._expanded(self._lists[value], (*inside, value))
            else:
                found.append(value)
        return found

    def _collected(self, check: Check, values: tuple[str, ...]) -> tuple[str, ...]:
        if check.operator not in {"=", "==", "!=", "in"}:
            return values
        known = tuple(value for value in values if value in fields.CALLS)
        if check.operator != "!=":
            self.narrowed.update(value for value in values if value not in fields.CALLS)
        return known

    @staticmethod
    def _refuse_unknown(check: Check, values: Sequence[str]) -> None:
        known = _ONLY.get(check.field)
        for value in values if known else ():
            if known and not known.fullmatch(value):
                raise Unsupported(f"value {value!r} of field {check.field!r} is not told", check.field)


def _not(test: Predicate) -> Condition:
    return Condition(lambda record: not test(record))


def _predicate(check: Check, values: Sequence[str], read: fields.Reader) -> Predicate:
    name = f"falco {check.field}"
    if check.operator == "exists":
        return lambda record: bool(record.under(name, read))
    change = _CHANGES[check.transform]
    if len(values) == 1 and values[0].startswith("val("):
        other = values[0][4:-1]
        right = fields.reader(other)
        if right is None:
            raise Unsupported(f"field {other!r} is not among those that events have", other)
        return lambda record: any(
            _test(check, (theirs,))(change(ours))
            for ours in record.under(name, read)
            for theirs in record.under(f"falco {other}", right)
        )
    test = _test(check, values)
    if check.operator == "!=":  # of several values (a call may have been any of them) none may be it
        return lambda record: bool(found := record.under(name, read)) and all(map(test, map(change, found)))
    return lambda record: any(map(test, map(change, record.under(name, read))))


def _test(check: Check, values: Sequence[str]) -> Test:
    sign = check.operator
    if check.field in fields.NETS and sign in {"=", "==", "!=", "in"}:
        return _among(values, wanted=sign != "!=")
    if sign in {"in", "intersects"}:
        return frozenset(values).__contains__
    if sign == "pmatch":
        return lambda text: any(_below(text, value) for value in values)
    if sign in _ORDER:
        return _ordered(sign, values[0], check.field)
    if sign in _TEXTS:
        return _against(_TEXTS[sign], values[0])
    return _patterned(sign, values[0], check.field)


def _against(compare: Callable[[str, str], bool], value: str) -> Test:
    return lambda text: compare(text, value)


def _ordered(sign: str, value: str, field: str) -> Test:
    compare = _ORDER[sign]
    try:
        number = float(value)
    except ValueError:
        raise Unsupported(f"{value!r} is no number to compare {field!r} with", field) from None

    def test(text: str) -> bool:
        try:
            return compare(float(text), number)
        except ValueError:
            return False

    return test


def _patterned(sign: str, value: str, field: str) -> Test:
    if sign in {"glob", "iglob"}:
        flags = re.IGNORECASE if sign == "iglob" else re.RegexFlag(0)
        pattern = re.compile(fnmatch.translate(value), flags)
    elif sign == "regex":
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise Unsupported(f"regular expression: {error}", field) from None
    else:
        raise Unsupported(f"operator {sign!r} is not evaluated", field)
    return lambda text: pattern.fullmatch(bounded(text)) is not None


def _below(text: str, prefix: str) -> bool:
    whole = prefix.rstrip("/")
    return text == whole or text.startswith(f"{whole}/")


def _among(values: Sequence[str], *, wanted: bool) -> Test:
    texts = {value.strip("\"'") for value in values}
    nets = [net for net in map(_net, texts) if net]

    def test(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return (text in texts) is wanted
        return any(address in net for net in nets) is wanted

    return test


def _net(text: str) -> Net | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
