# SPDX-License-Identifier: Apache-2.0
"""Decisions that meet a profile: what is asked of it, what is kept when it refuses or the alert changes."""

import asyncio

import pytest
from console_making import TS, alert

from habitus import subjects
from habitus.bus import Bus
from habitus.images import partition_of
from habitus.profiles import Mark, ProfileNotes, ProfileReply, ProfileRequest, ProfileSummary
from habitus_console.desk import Desk
from habitus_console.metrics import Metrics
from habitus_console.profiles import ProfilesAway, ProfilesFault
from habitus_console.store import database, queries
from habitus_console.store.alerts import AlertStore, Changed, Said
from habitus_console.store.states import Act, Forbidden

IMAGE = "webapp:v1"
ANN = Said("ann", "a drill")
MINE = {"container": {"image": IMAGE}, "op": "exec"}
OTHER = {"container": {"image": "other:v1"}, "op": "exec"}


class Profiler:
    """Answers for one partition as a profiler does; `during` runs before an absorption is answered."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.asked: list[tuple[str, ProfileRequest]] = []
        self.marks: list[Mark] = []
        self.refusal: str | None = None
        self.during = lambda: None

    async def start(self) -> None:
        for operation in ("absorb", "undo", "list"):
            await self._bus.nc.subscribe(subjects.profile(operation, partition_of(IMAGE)), cb=self._answer)
        await self._bus.nc.flush()

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked if operation != "list"]

    async def _answer(self, message) -> None:
        operation = message.subject.split(".")[2]
        request = ProfileRequest.model_validate_json(message.data)
        self.asked.append((operation, request))
        reply = (
            ProfileReply(error=self.refusal)
            if operation != "list" and self.refusal
            else self._do(operation, request)
        )
        await message.respond(reply.model_dump_json().encode())

    def _do(self, operation: str, request: ProfileRequest) -> ProfileReply:
        if operation == "absorb":
            self.during()
            name = f"f{len(self.marks) + 1}"
            said = {"who": request.who, "why": request.why, "alert": request.alert}
            self.marks.append(Mark(id=name, when=TS, habits=["h"], **said))
            return ProfileReply(mark=self.marks[-1])
        for mark in self.marks:
            if operation == "undo" and mark.id == request.mark:
                mark.undone_by, mark.undone_when = request.who, TS
        notes = ProfileNotes(marks=self.marks)
        summary = ProfileSummary(image_key=IMAGE, partition=0, state="detect", revision=1, notes=notes)
        return ProfileReply(summaries=[summary])


@pytest.fixture
async def profiler(bus: Bus):
    one = Profiler(bus)
    await one.start()
    return one


@pytest.fixture
def store(tmp_path):
    engine = database.opened(database.url_of(None, tmp_path))
    kept = AlertStore(engine)
    take(kept, alert(events=[MINE, OTHER], omitted=7))
    yield kept
    engine.dispose()


@pytest.fixture
def desk(bus: Bus, store):
    return Desk(bus, store, Metrics())


def take(store: AlertStore, one) -> None:
    store.take(one, one.model_dump_json())


async def test_benign_marks_what_the_alert_lists_of_its_image_and_says_what_it_does_not(desk, profiler):
    record = await desk.decide("a-1", Act.BENIGN, ANN)
    assert record.status == "benign"
    assert "7 further departures are not listed" in record.history[-1].why
    [(operation, request)] = profiler.asked
    assert (operation, request.who, request.why, request.alert) == ("absorb", "ann", "a drill", "a-1")
    assert request.events == [MINE]


async def test_two_who_call_it_benign_at_once_leave_one_mark(desk, profiler):
    both = [desk.decide("a-1", Act.BENIGN, Said(who, "a drill")) for who in ("ann", "bob")]
    records = await asyncio.gather(*both)
    assert [record.status for record in records] == ["benign", "benign"]
    assert profiler.operations() == ["absorb"]


async def test_many_who_acknowledge_at_once_all_see_it_acknowledged_by_the_first(desk):
    records = await asyncio.gather(*(desk.decide("a-1", Act.ACKNOWLEDGE, Said(f"p{n}")) for n in range(8)))
    assert {record.status for record in records} == {"acknowledged"}
    assert [each.act for each in (await desk.decide("a-1", Act.ACKNOWLEDGE, ANN)).history] == [
        "raised",
        "acknowledge",
    ]


async def test_reopening_undoes_every_mark_of_the_alert_that_holds_and_no_other(desk, profiler):
    await desk.decide("a-1", Act.BENIGN, ANN)
    other, undone = (profiler.marks[0].model_copy(update={"id": name}) for name in ("f2", "f3"))
    other.alert, undone.undone_when = "a-2", TS
    profiler.marks += [other, undone, profiler.marks[0].model_copy(update={"id": "f4"})]
    record = await desk.decide("a-1", Act.REOPEN, Said("bob", "no drill"))
    assert record.status == "open"
    assert [request.mark for operation, request in profiler.asked if operation == "undo"] == ["f1", "f4"]
    assert [(each.act, each.who) for each in record.history[1:]] == [("benign", "ann"), ("reopen", "bob")]


async def test_a_graver_revision_opens_it_with_its_marks_and_reopening_takes_them_back(desk, profiler, store):
    await desk.decide("a-1", Act.BENIGN, ANN)
    take(store, alert(revision=2, severity="critical"))
    assert queries.one(store.engine, "a-1").status == "open"
    assert profiler.operations() == ["absorb"]
    record = await desk.decide("a-1", Act.REOPEN, ANN)
    assert profiler.operations() == ["absorb", "undo"]
    assert [(each.act, each.who) for each in record.history[-2:]] == [
        ("reopen", "habitus"),
        ("reopen", "ann"),
    ]


async def test_an_alert_that_grows_while_it_is_marked_stays_open_and_its_mark_is_taken_back(
    desk, profiler, store
):
    profiler.during = lambda: take(store, alert(revision=2, events=[MINE]))
    with pytest.raises(Changed, match="changed meanwhile"):
        await desk.decide("a-1", Act.BENIGN, ANN)
    assert queries.one(store.engine, "a-1").status == "open"
    assert profiler.operations() == ["absorb", "undo"]
    assert profiler.marks[0].undone_when


async def test_a_refusal_changes_nothing(desk, profiler, store):
    profiler.refusal = "it is locked"
    with pytest.raises(ProfilesFault, match="locked") as fault:
        await desk.decide("a-1", Act.BENIGN, ANN)
    assert not isinstance(fault.value, ProfilesAway)
    profiler.refusal = None
    await desk.decide("a-1", Act.BENIGN, ANN)
    profiler.refusal = "it is locked"
    with pytest.raises(ProfilesFault, match="locked"):
        await desk.decide("a-1", Act.REOPEN, ANN)
    assert queries.one(store.engine, "a-1").status == "benign"


async def test_what_the_state_forbids_does_not_reach_the_profile(desk, profiler, store):
    take(store, alert(revision=2))
    with pytest.raises(Changed, match="revision 2"):
        await desk.decide("a-1", Act.BENIGN, Said("ann", "x", revision=1))
    assert profiler.asked == []
    await desk.decide("a-1", Act.BENIGN, ANN)
    with pytest.raises(Forbidden):
        await desk.decide("a-1", Act.ACKNOWLEDGE, ANN)


async def test_a_profile_that_was_forgotten_has_no_marks_to_take_back(desk, profiler):
    await desk.decide("a-1", Act.BENIGN, ANN)
    profiler.marks.clear()
    assert (await desk.decide("a-1", Act.REOPEN, ANN)).status == "open"
    assert profiler.operations() == ["absorb"]
