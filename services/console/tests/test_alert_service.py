# SPDX-License-Identifier: Apache-2.0
"""The alert store's own process on a real nats-server, asked over HTTP, on both kinds of database."""

import asyncio
import sqlite3
import stat
from contextlib import closing

import httpx
import pytest
from console_making import TOKEN, alert, publish

from habitus import subjects
from habitus.alerts import Severity
from habitus.bus import Bus
from habitus_testing import eventually


@pytest.fixture
def keep(console, database_url):
    """Start the store on this test's database."""
    return lambda: console(HABITUS_CONSOLE_DATABASE=database_url)


class Asked:
    """The API of a running store."""

    def __init__(self, process) -> None:
        self.http = httpx.Client(base_url=process.address, headers={"Authorization": f"Bearer {TOKEN}"})

    def get(self, path: str = "", **wanted) -> dict:
        answer = self.http.get(f"/v1/alerts{path}", params=wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body) -> httpx.Response:
        return self.http.post(f"/v1/alerts{path}", json=body)

    def ids(self) -> list[str]:
        return [one["id"] for one in self.get(order="oldest", limit=200)["alerts"]]


@pytest.fixture
def asked():
    opened: list[Asked] = []

    def ask(process) -> Asked:
        opened.append(Asked(process))
        return opened[-1]

    yield ask
    for one in opened:
        one.http.close()


async def test_alerts_of_the_stream_are_kept_once_each_in_their_newest_revision(keep, asked, bus: Bus):
    await publish(bus, alert("a-1"), alert("a-2"), alert("a-1", revision=2, severity=Severity.CRITICAL))
    store = asked(keep())
    await eventually(lambda: store.get("/summary")["total"] == 2)
    await eventually(lambda: store.get("/a-1")["revision"] == 2)
    assert store.ids() == ["a-1", "a-2"]
    assert store.get(whole=True, severity="critical")["alerts"][0]["alert"]["severity"] == "critical"
    assert [one["act"] for one in store.get("/a-1")["history"]] == ["raised", "revised"]


@pytest.mark.slow
async def test_a_store_killed_again_and_again_loses_nothing_and_doubles_nothing(keep, asked, bus: Bus):
    names = [f"a-{number}" for number in range(120)]
    publishing = asyncio.create_task(publish(bus, *map(alert, names)))
    for _ in range(2):
        process = await asyncio.to_thread(keep)
        store = asked(process)
        await eventually(lambda store=store: store.ids())
        process.kill()
    await publishing
    store = asked(await asyncio.to_thread(keep))
    await eventually(lambda: len(store.ids()) == len(names), lambda: str(len(store.ids())))
    assert store.ids() == names
    assert all(len(store.get(f"/{name}")["history"]) == 1 for name in names[::10])


async def test_a_decision_outlives_a_kill(keep, asked, bus: Bus):
    await publish(bus, alert())
    process = keep()
    store = asked(process)
    await eventually(store.ids)
    assert store.post("/a-1/acknowledge", who="ann", why="mine").status_code == 200
    process.kill()
    again = asked(await asyncio.to_thread(keep)).get("/a-1")
    assert (again["status"], again["history"][-1]["who"], again["history"][-1]["why"]) == (
        "acknowledged", "ann", "mine",
    )  # fmt: skip


async def test_a_database_made_anew_gets_all_that_the_stream_holds(console, asked, bus: Bus, tmp_path):
    await publish(bus, alert("a-1"), alert("a-2"))
    for name in ("one", "two"):
        store = asked(console(HABITUS_CONSOLE_DATABASE=f"sqlite:///{tmp_path}/{name}.db"))
        await eventually(lambda store=store: store.ids() == ["a-1", "a-2"])


async def test_poison_is_parked_and_what_follows_is_kept(keep, asked, bus: Bus):
    subject = subjects.alerts("high")
    poison = [
        b"{",
        alert("a-\x00\x1b").model_dump_json().encode(),
        alert("").model_dump_json().encode(),
        alert("a-huge", revision=2**63).model_dump_json().encode(),
        alert("a-late", first_seen=2**64).model_dump_json().encode(),
    ]
    for data in poison:
        await bus.js.publish(subject, data)
    await publish(bus, alert("a-1"))
    store = asked(keep())
    await eventually(lambda: store.ids() == ["a-1"])
    parked = subjects.parked(subjects.ALERTS)
    info = await bus.js.stream_info(subjects.PARKED, subjects_filter=parked)
    assert info.state.subjects == {parked: len(poison)}
    assert 'habitus_console_revisions_total{how="parked"} 5.0' in store.http.get("/metrics").text


async def test_a_database_that_goes_away_is_told_and_comes_back(console, asked, bus: Bus, postgresql):
    store = asked(console(HABITUS_CONSOLE_DATABASE=postgresql.database()))
    await publish(bus, alert("a-1"))
    await eventually(store.ids)
    postgresql.stop()
    try:
        await publish(bus, alert("a-2"))
        await eventually(lambda: store.http.get("/readyz").status_code == 503)
        answer = store.http.get("/v1/alerts")
        assert (answer.status_code, answer.json()["detail"]) == (
            503, "the database does not answer; see the console's log",
        )  # fmt: skip
    finally:
        await asyncio.to_thread(postgresql.start)
    await eventually(lambda: store.ids() == ["a-1", "a-2"])
    assert store.http.get("/readyz").json() == {"status": "ready"}


async def test_without_the_token_nothing_is_told_or_done(console, asked, bus: Bus):
    await publish(bus, alert())
    store = asked(console())
    await eventually(store.ids)
    for given in ("", "Bearer nix", f"Basic {TOKEN}", "Bearer \u00e9"):
        store.http.headers = httpx.Headers({"Authorization": given}, encoding="utf-8")
        for path in ("", "/summary", "/a-1"):
            assert store.http.get(f"/v1/alerts{path}").status_code == 401
        for act in ("acknowledge", "benign", "reopen"):
            answer = store.post(f"/a-1/{act}", who="eve", why="x")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert store.http.get("/healthz").json() == {"status": "ok"}
    store.http.headers["Authorization"] = f"Bearer {TOKEN}"
    assert store.get("/a-1")["status"] == "open"


def test_without_a_token_it_does_not_start(serve, console, tmp_path):
    process = serve("console", HABITUS_CONSOLE_STATE=str(tmp_path))
    assert process.child.wait(10) == 1
    assert "habitus console: console.token is not set" in process.said
    assert not (tmp_path / "console.db").exists()
    process = console(HABITUS_CONSOLE_TOKEN="short")
    assert process.child.wait(10) == 2
    assert "HABITUS_CONSOLE_TOKEN: console.token" in process.said


def test_a_database_that_is_not_there_ends_the_start_in_one_line(console):
    process = console(HABITUS_CONSOLE_DATABASE="postgresql://me:geheim@127.0.0.1:1/alerts")
    assert process.child.wait(15) == 1
    [line] = process.said.splitlines()
    assert "no alerts in postgresql+psycopg://me:***@127.0.0.1:1/alerts" in line


async def test_marking_without_a_profiler_changes_nothing(console, asked, bus: Bus):
    await publish(bus, alert())
    store = asked(console())
    await eventually(store.ids)
    for act in ("benign", "reopen"):
        answer = store.post(f"/a-1/{act}", who="ann", why="a drill")
        assert answer.status_code == 503
        assert "has no profiler" in answer.json()["detail"]
    assert store.get("/a-1")["version"] == 1
    assert store.post("/a-1/acknowledge", who="ann").status_code == 200
    assert store.post("/a-1/reopen", who="ann", why="not mine").json()["status"] == "open"
    assert 'decisions_total{act="benign",outcome="refused"} 1.0' in store.http.get("/metrics").text


async def test_bad_requests_get_one_line_that_names_the_field(console, asked, bus: Bus):
    await publish(bus, alert())
    store = asked(console())
    await eventually(store.ids)
    for wanted, said in {
        "limit=0": "query.limit", "nix=1": "query.nix", "cursor=-1": "query.cursor",
        "severity=x": "query.severity", "since=yesterday": "query.since",
    }.items():  # fmt: skip
        answer = store.http.get(f"/v1/alerts?{wanted}")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"].startswith(said)
    assert store.post("/a-1/benign", who="ann").json()["detail"][0]["msg"] == "why: Field required"
    assert store.post("/a-1/acknowledge", who="").status_code == 422
    assert store.post("/a-1/acknowledge", who="a", revision=0).status_code == 422
    assert store.post("/a-9/acknowledge", who="a").json() == {"detail": "no alert a-9"}
    assert store.http.post("/v1/alerts/a-1/acknowledge", content=b"x" * 70_000).status_code == 413


async def test_hostile_text_is_escaped_in_json_and_means_the_same(console, asked, bus: Bus):
    pod = "\x1b\x07\u202e\u2028\x7f\U000e0001"
    await publish(bus, alert(where={"pod": pod}))
    store = asked(console())
    await eventually(store.ids)
    answer = store.http.get("/v1/alerts/a-1")
    assert answer.json()["alert"]["where"]["pod"] == pod
    assert not any(character in answer.text for character in pod)
    assert "高危" in answer.text


async def test_every_part_of_the_api_is_described(console, asked):
    described = asked(console()).http.get("/openapi.json").json()
    routes = {path: parts for path, parts in described["paths"].items() if path.startswith("/v1")}
    assert len(routes) == 6
    for path, methods in routes.items():
        for method, about in methods.items():
            assert about["description"], path
            assert about["security"], path
            assert {"401", "503"} <= set(about["responses"]), path
            for parameter in about.get("parameters", []):
                assert parameter.get("description"), f"{method} {path}: {parameter['name']}"
    for name in ("Decision", "Reasoned"):
        for field in described["components"]["schemas"][name]["properties"].values():
            assert field["description"]


def test_the_database_is_its_owner_s_alone(console, tmp_path):
    console()
    file = tmp_path / "state" / "console.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM alerts").fetchone() == (0,)
