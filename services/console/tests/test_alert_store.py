# SPDX-License-Identifier: Apache-2.0
"""What the store keeps and how it answers, on SQLite and on PostgreSQL."""

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from console_making import TS, alert
from sqlalchemy import func, make_url, select, text

from habitus.alerts import Severity
from habitus_console.store import database, migrations, queries
from habitus_console.store.alerts import AlertStore, Changed, Said, Unknown
from habitus_console.store.database import DatabaseFault
from habitus_console.store.queries import Filter
from habitus_console.store.schema import HISTORY, METADATA, TAGS
from habitus_console.store.states import Act, Forbidden, Status

DAY = 86_400 * 10**9
HOSTILE = "n\x00ul \x1b[31m \u202e'; DROP TABLE alerts; -- %_\\*"


@pytest.fixture
def store(database_url):
    engine = database.opened(make_url(database_url))
    yield AlertStore(engine)
    engine.dispose()


def take(store: AlertStore, *alerts) -> list[bool]:
    return [store.take(one, one.model_dump_json()) for one in alerts]


def found(store: AlertStore, **wanted) -> list[str]:
    page = queries.page(store.engine, Filter(**wanted), cursor=None, limit=50, order="oldest", whole=False)
    return [entry.id for entry in page.alerts]


def acts(store: AlertStore, alert_id: str = "a-1") -> list[tuple[str, str]]:
    return [(each.act, each.who) for each in queries.one(store.engine, alert_id).history]


def test_the_tables_are_those_of_the_migrations(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == migrations.HEAD
    scripts = ScriptDirectory(Path(migrations.__file__).parent)
    assert scripts.get_current_head() == migrations.HEAD


def test_many_that_start_at_once_migrate_once(database_url):
    faults: list[Exception] = []
    names: set[str] = set()

    def start() -> None:
        try:
            engine = database.opened(make_url(database_url))
            names.add(database.name_of(engine))
            engine.dispose()
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(names) == 1


def test_the_newest_revision_is_shown_and_older_ones_are_history(store):
    first, second = alert(), alert(revision=2, score=90, techniques=["T1059"], rule="other")
    assert take(store, first, second, first, second) == [True, True, False, False]
    record = queries.one(store.engine, "a-1")
    assert (record.revision, record.score, record.techniques, record.rules) == (2, 90, ["T1059"], ["other"])
    assert record.alert == second
    assert [(each.act, each.revision, each.score) for each in record.history] == [
        ("raised", 1, 80),
        ("revised", 2, 90),
    ]


def test_hostile_text_comes_back_as_it_was_and_columns_show_it_escaped(store):
    names = dict.fromkeys(("node", "namespace", "pod", "container", "image"), HOSTILE)
    take(store, alert(where=names, techniques=[HOSTILE], rule=HOSTILE), alert("a-2"))
    record = queries.one(store.engine, "a-1")
    assert record.alert.where.pod == HOSTILE
    assert "\x00" not in record.pod
    assert r"\x00ul \x1b[31m \u202e" in record.pod
    for name in ("pod", "namespace", "image"):
        assert found(store, patterns={name: HOSTILE}) == ["a-1"]
    assert found(store, technique=HOSTILE) == ["a-1"]
    assert found(store, rule=HOSTILE) == ["a-1"]
    assert found(store, words=HOSTILE) == []
    store.decide("a-1", Act.ACKNOWLEDGE, Said(HOSTILE, HOSTILE))
    assert r"\x00ul" in queries.one(store.engine, "a-1").history[-1].why


def test_filters_choose(store):
    take(
        store,
        alert("a-1"),
        alert("a-2", severity=Severity.LOW, where={"namespace": "bank_1", "pod": "db-0"}, raised=TS + 10),
        alert("b-3", severity=Severity.CRITICAL, techniques=["T1059.004"], rule="shell", raised=TS + 20),
    )
    store.decide("a-2", Act.ACKNOWLEDGE, Said("ann"))
    assert found(store, ids="a-") == ["a-1", "a-2"]
    assert found(store, status=[Status.OPEN]) == ["a-1", "b-3"]
    assert found(store, status=[Status.BENIGN, Status.ACKNOWLEDGED]) == ["a-2"]
    assert found(store, severity=Severity.HIGH) == ["a-1", "b-3"]
    assert found(store, patterns={"namespace": "bank_*"}) == ["a-2"]
    assert found(store, patterns={"namespace": "bank?1"}) == []
    assert found(store, patterns={"namespace": "bankX1"}) == []
    assert found(store, patterns={"pod": "DB-0"}) == []
    assert found(store, patterns={"image": "webapp:*", "pod": "web-*"}) == ["a-1", "b-3"]
    assert found(store, technique="T1059*") == ["b-3"]
    assert found(store, rule="shell") == ["b-3"]
    assert found(store, words="CRYPTOmining") == ["a-1", "a-2", "b-3"]
    assert found(store, words="挖矿") == ["a-1", "a-2", "b-3"]
    assert found(store, words="%") == []
    assert found(store, since=TS + 10) == ["a-2", "b-3"]
    assert found(store, until=TS + 10) == ["a-1", "a-2"]
    assert queries.summary(store.engine).counts == {
        "open": {"high": 1, "critical": 1},
        "acknowledged": {"low": 1},
    }


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_hold_each_alert_once_while_others_come_and_grow(store, order):
    take(store, *(alert(f"a-{number}") for number in range(5)))
    seen, cursor = [], None
    for step in range(4):
        page = queries.page(store.engine, Filter(), cursor=cursor, limit=2, order=order, whole=False)
        seen += [entry.id for entry in page.alerts]
        cursor = page.cursor
        take(store, alert("a-0", revision=step + 2), alert(f"a-{10 + step}"))
        if cursor is None:
            break
    old = [one for one in seen if int(one[2:]) < 10]
    assert sorted(old) == ["a-0", "a-1", "a-2", "a-3", "a-4"]
    assert len(set(seen)) == len(seen)
    if order == "oldest":
        assert seen == sorted(seen, key=lambda one: int(one[2:]))


def test_a_follower_s_cursor_goes_on_after_the_last_page(store):
    def page(cursor):
        return queries.page(store.engine, Filter(), cursor=cursor, limit=9, order="oldest", whole=False)

    empty = page(None)
    take(store, alert("a-1"))
    one = page(empty.cursor)
    take(store, alert("a-2"))
    assert [entry.id for entry in one.alerts] == ["a-1"]
    assert [entry.id for entry in page(one.cursor).alerts] == ["a-2"]


def test_who_decides_what_and_why_is_kept(store):
    take(store, alert())
    assert store.decide("a-1", Act.ACKNOWLEDGE, Said("ann", "mine"))
    assert not store.decide("a-1", Act.ACKNOWLEDGE, Said("bob"))
    assert store.decide("a-1", Act.BENIGN, Said("bob", "a drill"))
    with pytest.raises(Forbidden, match="reopen"):
        store.decide("a-1", Act.ACKNOWLEDGE, Said("ann"))
    assert store.decide("a-1", Act.REOPEN, Said("ann", "no drill"))
    history = queries.one(store.engine, "a-1").history
    assert [(each.act, each.who, each.why) for each in history[1:]] == [
        ("acknowledge", "ann", "mine"),
        ("benign", "bob", "a drill"),
        ("reopen", "ann", "no drill"),
    ]
    with pytest.raises(Unknown, match="a-9"):
        store.decide("a-9", Act.REOPEN, Said("ann"))


def test_a_decision_on_what_has_changed_is_refused(store):
    take(store, alert())
    row = store.row("a-1")
    take(store, alert(revision=2))
    with pytest.raises(Changed, match="revision 2, not 1"):
        store.decide("a-1", Act.ACKNOWLEDGE, Said("ann", revision=1))
    with pytest.raises(Changed, match="changed meanwhile"):
        store.decide("a-1", Act.ACKNOWLEDGE, Said("ann"), row.version)
    assert store.row("a-1").status is Status.OPEN


@pytest.mark.parametrize("act", [Act.ACKNOWLEDGE, Act.BENIGN])
def test_a_settled_alert_opens_again_only_when_it_is_graver_than_what_was_seen(store, act):
    take(store, alert())
    store.decide("a-1", act, Said("ann"))
    take(store, alert(revision=2, severity=Severity.LOW), alert(revision=3, severity=Severity.HIGH))
    assert store.row("a-1").status is not Status.OPEN
    take(store, alert(revision=4, severity=Severity.CRITICAL))
    assert store.row("a-1").status is Status.OPEN
    assert acts(store)[-2:] == [("revised", "scorer"), ("reopen", "habitus")]
    assert "revision 4 is critical; it was" in queries.one(store.engine, "a-1").history[-1].why


def test_history_of_revisions_is_bounded_and_decisions_stay(store):
    take(store, alert())
    store.decide("a-1", Act.ACKNOWLEDGE, Said("ann"))
    take(store, *(alert(revision=number) for number in range(2, 130)))
    history = acts(store)
    assert len(history) == 2 + 100
    assert history[:2] == [("raised", "scorer"), ("acknowledge", "ann")]


def test_old_and_surplus_alerts_go_with_all_that_belongs_to_them(store):
    take(store, *(alert(f"a-{number}") for number in range(5)), alert("a-old", raised=TS - 91 * DAY))
    assert store.trim(keep_days=90, keep_alerts=3) == 3
    assert found(store) == ["a-2", "a-3", "a-4"]
    with store.engine.connect() as connection:
        for table in (TAGS, HISTORY):
            assert connection.execute(select(func.count(table.c.alert.distinct()))).scalar() == 3
    assert store.trim(keep_days=90, keep_alerts=3) == 0


def test_a_number_never_comes_twice(store):
    take(store, alert("a-1", raised=TS - 2 * DAY))
    before = queries.one(store.engine, "a-1").number
    store.trim(keep_days=1, keep_alerts=1)
    take(store, alert("a-2"))
    assert queries.one(store.engine, "a-2").number > before


def test_a_database_of_a_newer_habitus_is_refused(database_url):
    engine = database.opened(make_url(database_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseFault, match="another Habitus"):
        database.opened(make_url(database_url))


def test_sqlite_keeps_others_out_and_writes_ahead(tmp_path):
    engine = database.opened(database.url_of(None, tmp_path / "state"))
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    file = tmp_path / "state" / "console.db"
    assert file.stat().st_mode & 0o077 == 0
    engine.dispose()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nix", "no URL"),
        ("mysql://a@b/c", "mysql: sqlite or postgresql"),
        ("postgresql://me:geheim@127.0.0.1:1/alerts", "no alerts in"),
        ("postgresql://127.0.0.1:1/alerts?user=me&password=geheim", "no alerts in"),
        ("sqlite:////proc/nix/a.db", "no alerts in"),
        ("sqlite://", "in a file"),
    ],
)
def test_a_database_that_cannot_be_had_is_named_without_its_password(setting, said):
    with pytest.raises(DatabaseFault, match=said) as fault:
        database.opened(database.url_of(setting, Path("/nix")))
    assert "geheim" not in str(fault.value)
    assert "\n" not in str(fault.value)
