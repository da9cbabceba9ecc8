# SPDX-License-Identifier: Apache-2.0
"""Lists alerts, and follows them: from the alert store, or from the stream ALERTS where no store runs."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.settings import Settings
from habitus_console import alert_view, render, results, state, terminal, watch
from habitus_console.alert_client import AlertClient, StoreAway
from habitus_console.render import safe
from habitus_console.store.records import Entry, Page
from habitus_console.terminal import err, out

_NO_STORE: Final = "no alert store runs: start one with `habitus up`, or set HABITUS_CONSOLE_URL and _TOKEN"
_NONE: Final = Bilingual(en="no alerts", zh="没有告警")
_STREAM: Final = Bilingual(
    en="{why}; these are from the stream, without their states", zh="{why}; 以下来自消息流, 不含状态"
)
_POLL_S: Final = 1.0
_TRIES: Final = 30


def client(loaded: Settings) -> AlertClient:
    """Return the store to speak to; none ends the command with one line."""
    api = state.api(loaded)
    if api is None:
        terminal.fail(_NO_STORE, terminal.EXIT_FAILED)
    return AlertClient(api)


class Shown:
    """How alerts are shown: as panels, as lines of a table, or as JSON, one a line."""

    def __init__(self, language: Language, *, brief: bool, as_json: bool) -> None:
        self.language = language
        self.brief = brief
        self.as_json = as_json

    def stored(self, entries: list[Entry]) -> None:
        """Show alerts of the store; JSON is the alert with its state, in brief the entry of the list."""
        if self.brief and entries and not self.as_json:
            out.print(alert_view.table(entries, self.language))
            return
        for one in entries:
            whole = one.alert.model_dump(mode="json") if one.alert else one.model_dump(exclude={"alert"})
            text = json.dumps(whole | {"status": one.status}, ensure_ascii=False)
            terminal.show(text, lambda one=one: alert_view.panel(one, self.language), as_json=self.as_json)  # type: ignore[misc]

    def streamed(self, one: Alert) -> None:
        """Show an alert of the stream, whose state nobody knows."""
        terminal.show(one.model_dump_json(), lambda: render.alert(one, self.language), as_json=self.as_json)

    def none(self) -> None:
        """Say that there are none; in JSON no line says so."""
        if not self.as_json:
            out.print(_NONE.in_(self.language))


async def show(loaded: Settings, wanted: dict[str, Any], shown: Shown, *, last: int, follow: bool) -> None:
    """Show the newest `last` alerts, oldest first, and with `follow` what comes, until it is interrupted.

    `wanted` are parameters of `GET /v1/alerts`. Without a store, or with one that does not answer, the stream
    is read where nothing is asked for that only the store knows.
    """
    filters = any(wanted.values()) or shown.brief
    api = state.api(loaded)
    if api is None and filters:
        terminal.fail(_NO_STORE, terminal.EXIT_FAILED)
    if api is not None:
        try:
            await _from_store(AlertClient(api), wanted, shown, last=last, follow=follow)
        except StoreAway as fault:
            if filters:
                raise
            err.print(safe(_STREAM.in_(shown.language).format(why=fault)))
        else:
            return
    async with Bus(state.broker(loaded), "console") as bus:
        await _from_stream(bus, shown, last=last, follow=follow)


async def _from_store(
    client: AlertClient, wanted: dict[str, Any], shown: Shown, *, last: int, follow: bool
) -> None:
    asked = wanted | {"whole": str(not shown.brief).lower()}
    newest = client.page(**asked, limit=last).alerts
    shown.stored(newest[::-1])
    if not newest and not follow:
        shown.none()
    cursor = str(newest[0].number if newest else 0)
    while follow:
        await asyncio.sleep(_POLL_S)
        page = await _patiently(partial(client.page, **asked, order="oldest", cursor=cursor))
        shown.stored(page.alerts)
        cursor = page.cursor or cursor


async def _patiently(ask: Callable[[], Page]) -> Page:
    """Ask until there is an answer: a store that was killed comes back within seconds."""
    for _ in range(_TRIES):
        with contextlib.suppress(StoreAway):
            return ask()
        await asyncio.sleep(_POLL_S)
    return ask()


async def _from_stream(bus: Bus, shown: Shown, *, last: int, follow: bool) -> None:
    raised = (await results.alerts(bus))[-last:]
    for one in raised:
        shown.streamed(one)
    if not raised and not follow:
        shown.none()
    if follow:
        async for one in watch.new_alerts(bus):
            shown.streamed(one)
