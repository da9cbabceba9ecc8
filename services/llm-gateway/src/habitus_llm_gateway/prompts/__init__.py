# SPDX-License-Identifier: Apache-2.0
"""The prompts: Jinja2 templates in which every value is data, whatever a template's writer forgets.

A folder named by `llm.prompts` may hold templates of the same names (`system.en.j2`, …), which then
stand in for ours. They are checked at start by `Prompts.lint`, the same that tests run on ours.

A small model has templates of its own (`system.small.j2`, …): plain words, examples as turns, the
facts that matter in few lines. What is the same in every question stands first, so that llama.cpp
keeps what it has read of it. They are in English alone, which small models follow best.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from habitus.judging import JudgeRequest, Near
from habitus.text import printable
from habitus_llm_gateway.escaping import as_data, fitted
from habitus_llm_gateway.prompts.fences import drawn
from habitus_llm_gateway.providers import Style

Turn = tuple[Literal["user", "assistant"], str]

NAMES: Final[dict[Style, tuple[str, ...]]] = {
    "full": ("system", "question", "repair"),
    "small": ("system", "question", "examples", "repair"),
}
_OWN: Final = Path(__file__).parent
_VERSION: Final = re.compile(r"\{#\s*version:\s*([\w.-]{1,32})\s*#\}")
_MAY_USE: Final[dict[str, set[str]]] = {
    "system": set(),
    "examples": set(),
    "question": {"fence", "fields"},
    "repair": {"fault"},
}
_TURN: Final = re.compile(r"^=== (question|answer)\n", re.MULTILINE)
_ROLES: Final[dict[str, Literal["user", "assistant"]]] = {"question": "user", "answer": "assistant"}
_FENCES: Final = 2
_PROBE: Final = "probe7f3a"
_MOST_USUAL: Final = 8

# Where a field stands in the request → the name that a model reads, in reading order.
_FIELDS: Final = (
    ("image", ("image",)), ("pod", ("event", "container", "pod")), ("labels", ("labels",)),
    ("class", ("event", "class")), ("operation", ("event", "op")),
    ("process", ("event", "process", "name")), ("parent", ("event", "process", "parent")),
    ("ancestors", ("event", "process", "ancestors")), ("program", ("event", "process", "exe")),
    ("program_lives_in", ("event", "process", "exe_class")), ("arguments", ("event", "process", "argv")),
    ("folder", ("event", "process", "cwd")), ("uid", ("event", "process", "uid")),
    ("preload", ("event", "process", "preload")), ("file", ("event", "file")),
    ("network", ("event", "network")), ("usage", ("event", "usage")),
    ("departure", ("reason",)), ("departure_detail", ("detail",)), ("looked_for", ("path",)),
    ("usual_here", ("usual",)), ("nearest_known", ("nearest",)), ("rules_say", ("findings",)),
    ("same_incident", ("related",)),
)  # fmt: skip


class PromptFault(RuntimeError):
    """A template that cannot be used; the text names it and the line."""


class _Trusted(str):
    """A text of our own: the only kind that is written as it stands."""

    __slots__ = ()


def _finalised(value: Any) -> str:
    return str(value) if isinstance(value, _Trusted) else as_data(value)


@dataclass(frozen=True)
class Rendered:
    """One question as text: the instructions, and the data behind its own random fence."""

    system: str
    turns: tuple[Turn, ...]
    fence: str

    @property
    def question(self) -> str:
        """The last turn: the only one that holds data."""
        return self.turns[-1][1]


class Prompts:
    """The templates of one language and style.

    Raises:
        PromptFault: a template is missing, malformed, or writes data outside of the fence.
    """

    def __init__(
        self, language: Literal["en", "zh"], folder: Path | None = None, style: Style = "full"
    ) -> None:
        folders = [*([folder] if folder else []), _OWN]
        self._loader = jinja2.FileSystemLoader(folders)
        self._environment = ImmutableSandboxedEnvironment(
            loader=self._loader,
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # `finalize` does it, for JSON and not for HTML
            finalize=_finalised,
            keep_trailing_newline=False,
            auto_reload=False,  # what was linted is what is used, and no file is looked at for each question
        )
        if folder is not None and not folder.is_dir():
            raise PromptFault(f"llm.prompts {printable(str(folder), 200)}: no such folder")
        self.language = language
        self.style: Style = style
        self._facts = _facts if style == "small" else _fields
        self._sources = {name: self._source(name) for name in NAMES[style]}
        self._system = ""
        self._examples: tuple[Turn, ...] = ()
        self.lint()
        found = _VERSION.search(self._sources["question"])
        digest = blake2b("\0".join(self._sources.values()).encode(), digest_size=4).hexdigest()
        self.version = f"{language if style == 'full' else style}-{found[1] if found else '0'}-{digest}"

    def render(self, request: JudgeRequest) -> Rendered:
        """Return the prompt for one request, which must be redacted already."""
        fields = self._facts(request)
        fence = _Trusted(drawn(self.style, "\n".join(as_data(value) for _, value in fields)))
        question = self._written("question", fence=fence, fields=fields)
        return Rendered(self._system, (*self._examples, ("user", question)), fence)

    def repair(self, fault: str) -> str:
        """Return the turn that asks once more, with what was wrong."""
        return self._written("repair", fault=fault)

    def lint(self) -> None:
        """Check every template: its version, the variables that it uses, where data end up."""
        for name, source in self._sources.items():
            if not _VERSION.search(source):
                raise PromptFault(f"{self._file(name)}: no line such as {{# version: 1 #}}")
            try:
                used = meta.find_undeclared_variables(self._environment.parse(source))
            except jinja2.TemplateSyntaxError as error:
                raise PromptFault(
                    printable(f"{self._file(name)}: line {error.lineno}: {error.message}", 300)
                ) from None
            beyond = sorted(used - _MAY_USE[name])
            if beyond:
                raise PromptFault(f"{self._file(name)}: no such variable: {', '.join(beyond)}")
        self._system = self._written("system")
        self._written("repair", fault="probe")
        if "examples" in self._sources:
            self._examples = self._turns()
        self._check_fence()

    def _turns(self) -> tuple[Turn, ...]:
        """Return the examples; a line `=== question` or `=== answer` begins a turn."""
        _, *parts = _TURN.split(self._written("examples") + "\n")
        turns = tuple((_ROLES[part], text.strip()) for part, text in zip(*[iter(parts)] * 2, strict=True))
        if len(turns) % 2 or any(role != ("user", "assistant")[at % 2] for at, (role, _) in enumerate(turns)):
            raise PromptFault(f"{self._file('examples')}: questions and answers must take turns")
        return turns

    def _check_fence(self) -> None:
        """Check that each line of data stands between two lines of the fence, or begins with it."""
        rendered = self.render(_probe())
        lines = rendered.question.split("\n")
        at = [number for number, line in enumerate(lines) if line == rendered.fence]
        inside = range(at[0], at[1]) if len(at) == _FENCES else range(0)
        data = [(number, line) for number, line in enumerate(lines) if _PROBE in line]
        fenced = [
            number for number, line in data if number in inside or line.startswith(f"{rendered.fence} ")
        ]
        if not fenced:
            raise PromptFault(
                f"{self._file('question')}: the data must stand between two lines of the fence, "
                "or each line of them begin with it"
            )
        if len(fenced) < len(data):
            raise PromptFault(f"{self._file('question')}: data stand outside of the fence")

    def _source(self, name: str) -> str:
        try:
            return self._loader.get_source(self._environment, self._file(name))[0]
        except jinja2.TemplateNotFound:
            raise PromptFault(f"{self._file(name)}: no such template") from None
        except (OSError, UnicodeDecodeError) as error:
            raise PromptFault(f"{self._file(name)}: {type(error).__name__}") from None

    def _written(self, name: str, **values: Any) -> str:
        try:
            return self._environment.get_template(self._file(name)).render(values).strip()
        except jinja2.TemplateError as error:
            raise PromptFault(printable(f"{self._file(name)}: {error}", 300)) from None
        except Exception as error:  # noqa: BLE001  # a template may raise anything
            raise PromptFault(f"{self._file(name)}: {type(error).__name__}") from None

    def _file(self, name: str) -> str:
        own = self.style != "full" and name != "repair"
        return f"{name}.{self.style if own else self.language}.j2"


def _probe() -> JudgeRequest:
    """Return a request that holds the probe wherever a template's fields come from."""
    event: dict[str, Any] = {}
    for _, place in _FIELDS:
        if place[0] == "event":
            outer, last = place[1:-1], place[-1]
            table = event
            for key in outer:
                table = table.setdefault(key, {})
            table[last] = [_PROBE] if last == "argv" else _PROBE
    return JudgeRequest(
        image=_PROBE, reason=_PROBE, detail=_PROBE, path=[_PROBE], usual=[f"{_PROBE}-usual"],
        findings=[_PROBE], labels={_PROBE: _PROBE}, nearest=[Near(text=_PROBE, cosine=1)],
        related=[{"op": _PROBE}], event=event,
    )  # fmt: skip


def _fields(request: JudgeRequest) -> list[tuple[str, Any]]:
    whole = request.model_dump()
    found = {name: _at(whole, place) for name, place in _FIELDS}
    kept = fitted({name: value for name, value in found.items() if value not in (None, "", [], {})})
    return [(_Trusted(name), kept[name]) for name, _ in _FIELDS if name in kept]


def _facts(request: JudgeRequest) -> list[tuple[str, Any]]:
    """Return what a small model is told, in the order of its examples."""
    event = request.event
    process = event.get("process") or {}
    argv = [str(part) for part in process.get("argv") or []]
    usual = request.usual[:_MOST_USUAL]
    known = {word for line in usual for word in line.split()}
    facts = {
        "image": request.image,
        "program": process.get("exe"),
        "operation": event.get("op") if event.get("class") != "process" else None,
        "file": event.get("file"),
        "network": event.get("network"),
        "rules say": request.findings[:_MOST_USUAL],
        "usual": usual,
        "command": " ".join(argv),
        "new": [word for word in argv if word not in known] if usual else None,
    }
    kept = fitted({name: value for name, value in facts.items() if value not in (None, "", [], {})})
    return [(_Trusted(name), value) for name, value in kept.items()]


def _at(value: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value
