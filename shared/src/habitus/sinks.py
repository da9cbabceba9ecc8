# SPDX-License-Identifier: Apache-2.0
"""The protocol of a sink: a plugin that carries alerts out of Habitus.

A third party installs a package with an entry point in the group `habitus.sinks` that names a
callable taking `SinkServices` and returning a `Sink`. Built-in sinks use the same door.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError

from habitus.alerts import Alert
from habitus.languages import Language
from habitus.plugins import PluginFault
from habitus.sections import Section, why
from habitus.text import printable

GROUP: Final = "habitus.sinks"
_LINE: Final = 300

Settings = TypeVar("Settings", bound=Section)


class SinkFault(RuntimeError):
    """An alert that was not taken; the text reaches logs and people, so it must hold no secret.

    Args:
        text: one line.
        lasting: no later attempt at the same alert can succeed: it becomes a dead letter at once.
        retry_after_s: the receiver said that nothing is to be sent before.
    """

    def __init__(self, text: str, *, lasting: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class SinkServices:
    """What a sink is built from.

    Attributes:
        name: what `scorer.sinks` calls it; several sinks of one kind have different names.
        language: of the texts that it sends.
        settings: its table `[scorer.sink.<name>]`, less the keys that the scorer takes for itself.
    """

    name: str
    language: Language = "en"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def checked(self, model: type[Settings]) -> Settings:
        """Return the table as `model`.

        Raises:
            PluginFault: one line that names the offending key, without its value.
        """
        return checked(model, self.name, self.settings)


def checked(model: type[Settings], name: str, table: Mapping[str, Any]) -> Settings:
    """Return the table of the sink `name` as `model`; see `SinkServices.checked`."""
    try:
        return model.model_validate(dict(table))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join([f"scorer.sink.{name}", *map(str, first["loc"])])
        raise PluginFault(f"setting {printable(key, _LINE)}: {printable(why(first), _LINE)}") from None


@runtime_checkable
class Sink(Protocol):
    """Takes alerts one at a time. It may have a coroutine `close()`, called once at the end."""

    async def send(self, alert: Alert) -> None:
        """Deliver one revision of one alert.

        Raises:
            SinkFault: it was not taken. Any other exception means: try again later.
        """
        ...


SinkFactory = Callable[[SinkServices], Sink]


class SinkRequest(BaseModel):
    """What a person asks of the sinks of the running scorer.

    Attributes:
        op: `list` tells the sinks; `test` sends a sample alert; `resend` sends a dead letter once more.
        sink: which one, for `test` and `resend`.
        sequence: of the dead letter in the stream PARKED; it leaves the stream when it was taken.
    """

    op: Literal["list", "test", "resend"]
    sink: str = ""
    sequence: int = 0


class SinkState(BaseModel):
    """One sink as it stands: alerts that wait for it, alerts that it did not take."""

    name: str
    kind: str
    waiting: int
    dead: int


class SinkReply(BaseModel):
    """The answer: `error` is one line, empty where what was asked was done."""

    error: str = ""
    sinks: list[SinkState] = []
