# SPDX-License-Identifier: Apache-2.0
"""How alerts are delivered to one sink: the keys of its table that the scorer takes for itself."""

import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from habitus import plugins
from habitus.alerts import Alert, Severity
from habitus.languages import Language
from habitus.plugins import PluginFault
from habitus.sections import Section
from habitus.settings import ScorerSettings
from habitus.sinks import GROUP, Sink, SinkServices, checked
from habitus.text import printable

log = logging.getLogger(__name__)

# It is a part of subjects, keys and consumers' names.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
_LINE: Final = 300


class Delivery(Section):
    """Which alerts a sink gets, and for how long it is asked to take one."""

    kind: str | None = Field(default=None, description="plugin of habitus.sinks; None: the table's name")
    min_severity: Severity = Field(default=Severity.INFO, description="alerts below it are not sent")
    language: Language = Field(default="en", description="of what it sends, en or zh")
    timeout_s: float = Field(default=30, gt=0, le=600, description="one attempt")
    attempts: int | None = Field(default=None, ge=1, description="None: as many as `give_up_s` allows")
    give_up_s: float = Field(
        default=86_400,
        gt=0,
        description="an alert older than this is not tried again and becomes a dead letter",
    )

    def exhausted(self, attempts: int, alert: Alert) -> bool:
        """Say whether an alert that failed so often is given up."""
        too_often = self.attempts is not None and attempts >= self.attempts
        return too_often or time.time() - alert.raised / 1e9 >= self.give_up_s


def seated(settings: ScorerSettings) -> list[tuple[str, Sink, Delivery]]:
    """Build every sink that `scorer.sinks` names.

    Raises:
        PluginFault: an unknown kind, a bad name or table, or a sink that cannot start, in one line.
    """
    names = list(dict.fromkeys(settings.sinks))
    for unused in sorted(set(settings.sink) - set(names)):
        log.warning("table scorer.sink.%s: scorer.sinks does not name it; it gets no alerts", unused)
    return [_seat(name, settings.sink.get(name, {})) for name in names]


def _seat(name: str, table: Mapping[str, Any]) -> tuple[str, Sink, Delivery]:
    if not _NAME.fullmatch(name):
        raise PluginFault(
            f"setting scorer.sinks: {printable(name, 80)!r} is no name: small letters, digits, - and _"
        )
    ours = {key: value for key, value in table.items() if key in Delivery.model_fields}
    delivery = checked(Delivery, name, ours)
    rest = {key: value for key, value in table.items() if key not in ours}
    services = SinkServices(name, delivery.language, rest)
    return name, _built(delivery.kind or name, services), delivery


def _built(kind: str, services: SinkServices) -> Sink:
    factory = plugins.load(GROUP, kind)
    try:
        sink = factory(services)
    except PluginFault:
        raise
    except Exception as error:
        # Only the kind of error: its text may hold a secret of the table.
        raise PluginFault(f"sink {services.name!r} cannot start: {type(error).__name__}") from error
    if not isinstance(sink, Sink):
        raise PluginFault(f"sink {kind!r} is a {type(sink).__name__}, which does not follow the protocol")
    return sink
