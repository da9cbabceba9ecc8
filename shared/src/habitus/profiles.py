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


class Mark(BaseModel):
    """Habits that somebody, or slow tuning, called benign; `undone_by` is empty while that holds.

    Times are in nanoseconds.
    """

    id: str
    who: str
    when: int
    why: str
    alert: str
    habits: list[str]
    undone_by: str = ""
    undone_when: int = 0


class Refusal(BaseModel):
    """A habit that a high-confidence rule kept out of the profile while it learned."""

    habit: str
    rule: str
    event_id: str
    when: int


class Change(BaseModel):
    """What somebody did to the profile as a whole."""

    what: str
    who: str
    when: int
    why: str


class ProfileNotes(BaseModel):
    """What people and rules said of a profile.

    `held`: behaviours that wait for rules or for more containers; `watched`: those that slow tuning gathers
    evidence for; `predecessor`: the image key that the profile started from, empty for none.
    """

    marks: list[Mark] = []
    refused: list[Refusal] = []
    changes: list[Change] = []
    held: int = 0
    watched: int = 0
    predecessor: str = ""


class ProfileDiff(BaseModel):
    """What `after` has and `before` has not, and the other way round; each entry is a habit, readable.

    `more`: entries beyond those listed, which are bounded.
    """

    before: str
    after: str
    added: list[str] = []
    removed: list[str] = []
    more: int = 0


class Ancestor(BaseModel):
    """A profile that a new digest of the same repository may start from."""

    image_key: str
    last_event: int


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
    notes: ProfileNotes = ProfileNotes()


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

    Of one `image_key`, by `who` and `why`: `detect` (against the evidence with `force`), `relearn`, `lock`,
    `unlock`, `forget`; `absorb` calls the `events` (in the interchange format) of an `alert` benign and
    `undo` takes the mark `mark` back. `diff` compares with the profile `other`. Between profilers:
    `ancestor` asks for what a new `image_key` may start from, `copy` for a profile from the byte `offset` on.
    """

    image_key: str | None = None
    after: int = 0
    freeze: bool = False
    who: str = Field(default="", max_length=200)
    why: str = Field(default="", max_length=2000)
    force: bool = False
    alert: str = Field(default="", max_length=200)
    events: list[dict[str, Any]] = []
    mark: str = ""
    other: str = ""
    bill: str = ""
    replace: bool = False
    offset: int = Field(default=0, ge=0)


class ProfileReply(BaseModel):
    """`error` is one line when the request could not be answered.

    `copied` is base64 of a part of `copied_bytes` of zlib. `moved`: who was asked gave the partition away.
    """

    moved: bool = False
    error: str | None = None
    summaries: list[ProfileSummary] = []
    detail: ProfileDetail | None = None
    mark: Mark | None = None
    diff: ProfileDiff | None = None
    ancestor: Ancestor | None = None
    copied: str = ""
    copied_bytes: int = 0
    bill: str = ""
