# SPDX-License-Identifier: Apache-2.0
"""What a person may ask of a profile, and how the owner of its partition answers."""

from typing import Any, Literal

from pydantic import BaseModel, Field

State = Literal["learn", "detect", "relearn", "locked"]


Blocker = Literal["events", "window", "news", "losses", "forecast", "vectors", "rules"]
"""What keeps a profile from judging: too few events, a window that is not whole, news or losses in it, too
many alerts to come, vectors or verdicts of rules that are still asked for."""


class Forecast(BaseModel):
    """What a day would bring, by the learning data that was held out.

    Attributes:
        alerts_a_day: how often something new would have been met; alerts fold such things, so it is an
            upper estimate of them. `at_most`: its upper bound at 95 %.
        alarms, seconds: the data held out: how often something was new, in how long.
    """

    alerts_a_day: float
    at_most: float
    alarms: int
    seconds: float


class Convergence(BaseModel):
    """How near a profile is to being learned.

    Attributes:
        events: events learned so far.
        window_events, window_new: events and new nodes + vectors inside the sliding window.
        epsilon, min_events, window_s: what `window_new`, `events` and the window must satisfy.
        unseen: Good–Turing estimate of the chance that the next event is new (Good 1953);
            `unseen_at_most`: its upper bound at 95 % (McAllester and Schapire 2000).
        losses: events lost inside the window; a window with losses does not converge.
        seconds: the profile's own time since its first event.
        forecast: None while less than a window is learned; `max_alerts` a day are accepted (None: any).
        blockers: what is in the way of judging; empty when the habits are learned.
        curve: (seconds since the first event, new nodes + vectors so far), thinned.
    """

    events: int = 0
    window_events: int = 0
    window_new: int = 0
    epsilon: int = 0
    min_events: int = 0
    window_s: float = 0
    unseen: float = Field(default=1.0, ge=0, le=1)
    unseen_at_most: float = Field(default=1.0, ge=0, le=1)
    losses: int = 0
    seconds: float = 0
    forecast: Forecast | None = None
    max_alerts: float | None = None
    blockers: list[Blocker] = []
    curve: list[tuple[float, int]] = []


class ProfileSummary(BaseModel):
    """One profile at a glance."""

    image_key: str
    partition: int
    state: State
    revision: int
    nodes: dict[str, int] = {}
    vectors: int = 0
    bytes: int = 0
    first_event: int | None = None
    last_event: int | None = None
    converged: int | None = None
    convergence: Convergence = Convergence()


class ProfileTree(BaseModel):
    """A trie as plain nested mappings: name → children; a leaf lists what it knows."""

    process: dict[str, Any] = {}
    file: dict[str, Any] = {}
    network: dict[str, Any] = {}


class ProfileDetail(BaseModel):
    """A summary with the tries themselves."""

    summary: ProfileSummary
    tries: ProfileTree


class ProfileRequest(BaseModel):
    """Asked on `habitus.profile.<operation>.<partition>`.

    `list` needs nothing; `show` an `image_key`; `converge` turns every profile of the partition
    to detect and, with `freeze`, judges images that were never seen instead of learning them;
    `sync` only waits. `export` needs an `image_key`; `import` also the document `bill` (`habitus.bills`), and
    `replace` where there is a profile already. `after` is the sequence in EVENTS that must have been
    applied before.
    """

    image_key: str | None = None
    after: int = 0
    freeze: bool = False
    bill: str = ""
    replace: bool = False


class ProfileReply(BaseModel):
    """`error` is one line when the request could not be answered."""

    error: str | None = None
    summaries: list[ProfileSummary] = []
    detail: ProfileDetail | None = None
    bill: str = ""
