# SPDX-License-Identifier: Apache-2.0
"""Reads Falco's rule files of one folder as one: later items append to, override or replace earlier ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from habitus_scorer.falco.grammar import ConditionFault, Many, Node, parsed

KINDS: Final = ("rule", "macro", "list")
BESIDE: Final = ("required_engine_version", "required_plugin_versions")
"""Items that ask for versions of Falco's: passed over."""
_APPENDED: Final = ("condition", "exceptions", "output", "desc", "tags", "items")


class Fault(NamedTuple):
    """An item that cannot be used: its file, line and why."""

    file: Path
    line: int
    reason: str


@dataclass
class Item:
    """One rule, macro or list as it stands after all files. `line` is where it was first written."""

    kind: str
    name: str
    file: Path
    line: int
    keys: dict[str, Any] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)


class Book:
    """The rules, macros and lists of many files."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.faults: list[Fault] = []

    def read(self, path: Path, text: str) -> None:
        """Take in one file.

        Raises:
            yaml.YAMLError: the file is no YAML.
        """
        for line, value in _documents(text):
            try:
                self._take(path, line, value)
            except ValueError as error:
                self.faults.append(Fault(path, line, str(error)))

    def lists(self) -> dict[str, list[str]]:
        """Return the lists by name."""
        return {
            name: [str(value) for value in item.keys.get("items") or []]
            for (kind, name), item in self.items.items()
            if kind == "list"
        }

    def macros(self) -> dict[str, Node]:
        """Return the macros' trees; one that cannot be read is a fault."""
        found: dict[str, Node] = {}
        for (kind, name), item in self.items.items():
            if kind == "macro":
                try:
                    found[name] = tree_of(item)
                except ValueError as error:
                    self.faults.append(Fault(item.file, item.line, f"macro {name!r}: {error}"))
        return found

    def rules(self) -> Iterator[Item]:
        """Yield the rules in the order in which they were first written."""
        yield from (item for (kind, _), item in self.items.items() if kind == "rule")

    def _take(self, path: Path, line: int, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise ValueError("an item that is no mapping")  # noqa: TRY004  # one kind of fault for a file
        if not value.keys().isdisjoint(BESIDE):
            return
        kind = next((kind for kind in KINDS if kind in value), None)
        if kind is None or not isinstance(value[kind], str):
            raise ValueError(f"an item that is no rule, macro or list: {', '.join(map(str, value))[:80]}")
        override = value.get("override") or {}
        if not isinstance(override, Mapping):
            raise ValueError(f"{kind} {value[kind]!r}: override is no mapping")  # noqa: TRY004  # as above
        known = self.items.get((kind, value[kind]))
        if value.get("append") or override:
            if known is None:
                raise ValueError(f"{kind} {value[kind]!r}: there is nothing yet to append to or override")
            _merge(known, value, override)
        elif known is not None and set(value) <= {kind, "enabled"}:
            known.keys["enabled"] = value["enabled"]
        else:
            keys = dict(value)
            keys["items"] = list(value.get("items") or [])
            keys["exceptions"] = list(value.get("exceptions") or [])
            conditions = [value["condition"]] if "condition" in value else []
            self.items[kind, value[kind]] = Item(kind, value[kind], path, line, keys, conditions)


def _merge(item: Item, value: Mapping[str, Any], override: Mapping[str, Any]) -> None:
    for key, given in value.items():
        if key in (*KINDS, "append", "override"):
            continue
        way = override.get(key, "append" if value.get("append") and key in _APPENDED else "replace")
        if key == "condition":
            item.conditions = [given] if way == "replace" else [*item.conditions, given]
        elif key == "exceptions" and way == "append":
            item.keys[key] = _exceptions(item.keys.get(key) or [], given or [])
        elif way == "append" and isinstance(given, list):
            item.keys[key] = [*(item.keys.get(key) or []), *given]
        elif way == "append":
            item.keys[key] = f"{item.keys.get(key, '')} {given}".strip()
        else:
            item.keys[key] = given


def _exceptions(known: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Append values to the exceptions of the same name, and the others as they are."""
    found = [dict(one) for one in known]
    by_name = {one.get("name"): one for one in found}
    for one in given:
        same = by_name.get(one.get("name")) if isinstance(one, Mapping) else None
        if same is None:
            found.append(dict(one))
        else:
            same["values"] = [*(same.get("values") or []), *(one.get("values") or [])]
    return found


def tree_of(item: Item) -> Node:
    """Return the tree of an item's condition; what was appended begins with `and` or `or`.

    Raises:
        ConditionFault: it cannot be read.
    """
    if not item.conditions or not all(isinstance(text, str) for text in item.conditions):
        raise ConditionFault("the condition is missing")
    return parsed(" ".join(item.conditions))


def exceptions_of(item: Item) -> Node | None:
    """Return the tree of what the rule's exceptions let pass, None where there is nothing.

    Raises:
        ConditionFault: an exception whose fields, comparisons and values do not fit together.
    """
    parts: list[Node] = []
    for one in item.keys.get("exceptions") or []:
        parts += _exception(one)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Many("or", tuple(parts))


def _exception(one: Any) -> Iterator[Node]:
    if not isinstance(one, Mapping) or "fields" not in one:
        raise ConditionFault("an exception needs `name` and `fields`")
    name, names, values = one.get("name", "?"), one["fields"], one.get("values") or []
    if isinstance(names, str):
        if values:
            yield parsed(f"{names} {one.get('comps', 'in')} {_operand(list(values))}")
        return
    comps = one.get("comps") or ["="] * len(names)
    for row in values:
        if not (isinstance(row, list) and isinstance(comps, list) and len(row) == len(names) == len(comps)):
            raise ConditionFault(f"exception {name!r}: its fields, comps and values differ in number")
        checks = (
            f"{field} {comp} {_operand(value)}" for field, comp, value in zip(names, comps, row, strict=True)
        )
        yield parsed(" and ".join(checks))


def _operand(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_operand, value))})"
    text = str(value)
    if text.startswith("(") and text.endswith(")"):  # Falco allows a list written as one text
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Loader(yaml.CSafeLoader):
    """YAML as Falco reads it: a bare `=` is text."""


_Loader.add_constructor(  # type: ignore[type-var]  # the stubs know no loader in C
    "tag:yaml.org,2002:value", yaml.CSafeLoader.construct_yaml_str
)


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    """Yield each item of the list that a Falco file is, with its line."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                return
            if not isinstance(node, yaml.SequenceNode):
                yield node.start_mark.line + 1, loader.construct_document(node)
                continue
            for item in node.value:
                yield item.start_mark.line + 1, loader.construct_document(item)
    finally:
        loader.dispose()
