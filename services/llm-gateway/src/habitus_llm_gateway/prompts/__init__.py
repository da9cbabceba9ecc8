# SPDX-License-Identifier: Apache-2.0
"""The prompts: Jinja2 templates in which every value is data, whatever a template's writer forgets.

A folder named by `llm.prompts` may hold templates of the same names (`system.en.j2`, …), which then
stand in for ours. They are checked at start by `Prompts.lint`, the same that tests run on ours.
"""

import re
import secrets
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from habitus.judging import JudgeRequest
from habitus.text import printable
from habitus_llm_gateway.escaping import as_data, fitted

NAMES: Final = ("system", "question", "repair")
_OWN: Final = Path(__file__).parent
_VERSION: Final = re.compile(r"\{#\s*version:\s*([\w.-]{1,32})\s*#\}")
_MAY_USE: Final = {"system": set(), "question": {"fence", "fields"}, "repair": {"fault"}}
_FENCES: Final = 2

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
    question: str
    fence: str


class Prompts:
    """The templates of one language.

    Raises:
        PromptFault: a template is missing, malformed, or writes data outside of the fence.
    """

    def __init__(self, language: Literal["en", "zh"], folder: Path | None = None) -> None:
        folders = [*([folder] if folder else []), _OWN]
        self._loader = jinja2.FileSystemLoader(folders)
        self._environment = ImmutableSandboxedEnvironment(
            loader=self._loader,
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # `finalize` does it, for JSON and not for HTML
            finalize=_finalised,
            keep_trailing_newline=False,
        )
        if folder is not None and not folder.is_dir():
            raise PromptFault(f"llm.prompts {printable(str(folder), 200)}: no such folder")
        self.language = language
        self._sources = {name: self._source(name) for name in NAMES}
        self._system = ""
        self.lint()
        found = _VERSION.search(self._sources["question"])
        digest = blake2b("\0".join(self._sources.values()).encode(), digest_size=4).hexdigest()
        self.version = f"{language}-{found[1] if found else '0'}-{digest}"

    def render(self, request: JudgeRequest) -> Rendered:
        """Return the prompt for one request, which must be redacted already."""
        fence = _Trusted(f"data-{secrets.token_hex(8)}")
        return Rendered(self._system, self._written("question", fence=fence, fields=_fields(request)), fence)

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
        self._check_fence()

    def _check_fence(self) -> None:
        probe = "probe7f3a"
        whole = JudgeRequest(
            image=probe, reason=probe, path=[probe], detail=probe, usual=[probe], findings=[probe],
            event={"op": probe, "process": {"argv": [probe], "exe": probe}},
        )  # fmt: skip
        rendered = self.render(whole)
        lines = rendered.question.split("\n")
        at = [number for number, line in enumerate(lines) if line == rendered.fence]
        if len(at) != _FENCES or not any(probe in line for line in lines[at[0] : at[1]]):
            raise PromptFault(f"{self._file('question')}: the data must stand between two lines of the fence")
        if any(probe in line for line in (*lines[: at[0]], *lines[at[1] :])):
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
        return f"{name}.{self.language}.j2"


def _fields(request: JudgeRequest) -> list[tuple[str, Any]]:
    whole = request.model_dump()
    found = {name: _at(whole, place) for name, place in _FIELDS}
    kept = fitted({name: value for name, value in found.items() if value not in (None, "", [], {})})
    return [(_Trusted(name), kept[name]) for name, _ in _FIELDS if name in kept]


def _at(value: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value
