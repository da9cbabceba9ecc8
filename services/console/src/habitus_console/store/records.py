# SPDX-License-Identifier: Apache-2.0
"""What the store answers with, as the HTTP API and the command show it."""

from pydantic import BaseModel, Field

from habitus.alerts import Alert, Severity
from habitus.languages import Bilingual
from habitus_console.store.states import Act, Status


class Entry(BaseModel):
    """One alert in a list. Names are escaped where they hold what no terminal should see."""

    id: str
    number: int = Field(description="grows from alert to alert as they are first stored; a cursor too")
    status: Status
    severity: Severity
    score: float
    revision: int = Field(description="newest revision that is stored")
    version: int = Field(description="grows with each change of the alert or of its state")
    title: Bilingual
    techniques: list[str] = Field(description="MITRE ATT&CK")
    rules: list[str] = Field(description="ids of the rules and other findings that speak")
    node: str
    namespace: str
    pod: str
    container: str
    image: str
    first_seen: int = Field(description="nanoseconds since the epoch")
    raised: int = Field(description="when the newest revision was raised, in nanoseconds since the epoch")
    changed: int = Field(description="when its state last changed, in nanoseconds since the epoch")
    alert: Alert | None = Field(default=None, description="the whole alert, where it was asked for")


class Happening(BaseModel):
    """One line of an alert's history: a revision of the scorer, or what a person did."""

    at: int = Field(description="nanoseconds since the epoch")
    act: Act
    who: str = Field(description="a person; `scorer` or `habitus` where nobody did it")
    why: str
    revision: int
    severity: Severity
    score: float


class Record(Entry):
    """One alert with its history, oldest first."""

    alert: Alert
    history: list[Happening]


class Page(BaseModel):
    """Some alerts, in the order asked for. `cursor` asks for what follows; none: nothing does, for now."""

    alerts: list[Entry]
    cursor: str | None


class Summary(BaseModel):
    """How many alerts are kept, by status and severity; absent ones are 0."""

    total: int
    counts: dict[Status, dict[Severity, int]]
    newest: int | None = Field(
        description="when the newest revision was raised, in nanoseconds since the epoch"
    )
