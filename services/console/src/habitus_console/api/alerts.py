# SPDX-License-Identifier: Apache-2.0
"""`/v1/alerts`: look through the alerts, and decide of one."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from habitus.alerts import Severity
from habitus.text import safe_json
from habitus_console.desk import Desk
from habitus_console.store import queries
from habitus_console.store.alerts import AlertStore, Said
from habitus_console.store.queries import Filter, Order
from habitus_console.store.records import Page, Record, Summary
from habitus_console.store.states import Act, Status

_LARGEST_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERNS: Final = ("node", "namespace", "pod", "container", "image")
_AWAY: Final = {"description": "the database, or the profiler, is away; nothing is changed"}
_Faults = dict[int | str, dict[str, Any]]
_READ: Final[_Faults] = {401: {"description": "no token, or a wrong one"}, 503: _AWAY}
_ONE: Final[_Faults] = _READ | {404: {"description": "no such alert"}}
_DECIDE: Final[_Faults] = _ONE | {
    409: {"description": "its state, its profile or a newer revision does not allow it; nothing is changed"}
}

Id = Annotated[str, Path(max_length=200, description="the alert's id, whole")]
Pattern = Annotated[str | None, Field(max_length=400)]


class Wanted(BaseModel):
    """Which alerts. Names are patterns with `*`; what is left out does not filter."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="", max_length=200, description="how the id begins")
    status: list[Status] = Field(default=[], max_length=3, description="any of these")
    severity: Severity | None = Field(default=None, description="at least this")
    node: Pattern = Field(default=None, description="name of the node, e.g. `node-*`")
    namespace: Pattern = Field(default=None, description="namespace of the Pod")
    pod: Pattern = Field(default=None, description="name of the Pod")
    container: Pattern = Field(default=None, description="name of the container")
    image: Pattern = Field(default=None, description="reference of the image, e.g. `webapp:*`")
    technique: Pattern = Field(default=None, description="MITRE ATT&CK technique, e.g. `T1496` or `T1059*`")
    rule: Pattern = Field(default=None, description="id of a rule or another finding that speaks")
    title: Pattern = Field(default=None, description="words in the title, English or Chinese, in any case")
    since: datetime | None = Field(default=None, description="newest revision raised then or later; else UTC")
    until: datetime | None = Field(default=None, description="newest revision raised then or earlier")
    order: Order = Field(default="newest", description="by when the alert was first stored: it never moves")
    limit: int = Field(default=50, ge=1, le=200, description="alerts in a page")
    cursor: str | None = Field(default=None, pattern="^[0-9]{1,18}$", description="as the last page gave it")
    whole: bool = Field(default=False, description="with the whole alert, its events and evidence")

    def filter(self) -> Filter:
        """Return it as the store asks for it."""
        given = {name: getattr(self, name) for name in _PATTERNS}
        return Filter(
            ids=self.id,
            status=self.status,
            severity=self.severity,
            patterns={name: pattern for name, pattern in given.items() if pattern is not None},
            technique=self.technique,
            rule=self.rule,
            words=self.title,
            since=_nanoseconds(self.since),
            until=_nanoseconds(self.until),
        )


class Decision(BaseModel):
    """Who decides, and why."""

    model_config = ConfigDict(extra="forbid")

    who: str = Field(min_length=1, max_length=200, description="a person's name; kept")
    why: str = Field(default="", max_length=2000, description="the reason; kept")
    revision: int | None = Field(
        default=None, ge=1, description="the revision that was seen: a newer one is answered by 409"
    )

    def said(self) -> Said:
        """Return it as the store keeps it."""
        return Said(self.who, self.why, self.revision)


class Reasoned(Decision):
    """A decision that changes what the profile knows: it needs a reason."""

    why: str = Field(min_length=1, max_length=2000, description="the reason; kept, also in the profile")


def router(store: AlertStore, desk: Desk) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/alerts", tags=["alerts"])
    _add_reading(routes, store)
    _add_deciding(routes, desk)
    return routes


def _add_reading(routes: APIRouter, store: AlertStore) -> None:
    @routes.get("", response_model=Page, responses=_READ)
    async def list_alerts(wanted: Annotated[Wanted, Query()]) -> Response:
        """List alerts, the newest first or the oldest, page by page."""
        page = await asyncio.to_thread(
            queries.page,
            store.engine,
            wanted.filter(),
            cursor=wanted.cursor,
            limit=wanted.limit,
            order=wanted.order,
            whole=wanted.whole,
        )
        return _shown(page)

    @routes.get("/summary", response_model=Summary, responses=_READ)
    async def count_alerts() -> Response:
        """Count the alerts by status and severity."""
        return _shown(await asyncio.to_thread(queries.summary, store.engine))

    @routes.get("/{alert_id}", response_model=Record, responses=_ONE)
    async def read_alert(alert_id: Id) -> Response:
        """Return one alert, whole, with its history: who did what, when and why."""
        return _shown(await asyncio.to_thread(queries.one, store.engine, alert_id))


def _add_deciding(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/{alert_id}/acknowledge", response_model=Record, responses=_DECIDE)
    async def acknowledge_alert(alert_id: Id, decision: Decision) -> Response:
        """Say that somebody looks after it. A revision of higher severity opens it again."""
        return _shown(await desk.decide(alert_id, Act.ACKNOWLEDGE, decision.said()))

    @routes.post("/{alert_id}/benign", response_model=Record, responses=_DECIDE)
    async def call_alert_benign(alert_id: Id, decision: Reasoned) -> Response:
        """Call it benign: the profile of its image knows its behaviours from now on."""
        return _shown(await desk.decide(alert_id, Act.BENIGN, decision.said()))

    @routes.post("/{alert_id}/reopen", response_model=Record, responses=_DECIDE)
    async def reopen_alert(alert_id: Id, decision: Reasoned) -> Response:
        """Open it again; every mark that it left in the profile is taken back."""
        return _shown(await desk.decide(alert_id, Act.REOPEN, decision.said()))


def _shown(model: BaseModel) -> Response:
    return Response(safe_json(model.model_dump_json()), media_type="application/json")


def _nanoseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - _EPOCH
    nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    return min(max(nanoseconds, 0), _LARGEST_NS)
