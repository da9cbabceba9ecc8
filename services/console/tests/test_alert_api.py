# SPDX-License-Identifier: Apache-2.0
"""Any input to the API gets an answer of its own choosing: never a fault of ours."""

import asyncio
import json

import httpx
import pytest
from console_making import TS, alert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from habitus.bus import Bus
from habitus.settings import NatsSettings
from habitus_console.api.alerts import Wanted
from habitus_console.api.application import application
from habitus_console.desk import Desk
from habitus_console.metrics import Metrics
from habitus_console.store import database
from habitus_console.store.alerts import AlertStore

TOKEN = "t" * 16
WORDS = st.text(max_size=20) | st.sampled_from(["", "\x00", "*", "%", "\\", "'", "\ud800", "open", "high"])
NAMES = st.sampled_from([*Wanted.model_fields, "nix"])
MOMENTS = st.datetimes(timezones=st.none() | st.timezones()).map(lambda one: one.isoformat())
VALUES = WORDS | MOMENTS | st.integers().map(str) | st.floats().map(str)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
DECISIONS = st.fixed_dictionaries(
    {}, optional={"who": BODIES, "why": BODIES, "revision": BODIES, "nix": BODIES}
)
EXPECTED = {200, 400, 404, 409, 422, 503}
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def app(database_url):
    engine = database.opened(make_url(database_url))
    store = AlertStore(engine)
    for number in range(3):
        one = alert(f"a-{number}", raised=TS)
        store.take(one, one.model_dump_json())
    metrics = Metrics()
    # No profiler answers: a bus that was never connected refuses at once.
    desk = Desk(Bus(NatsSettings(), "test"), store, metrics)
    yield application(store, desk, metrics, TOKEN, lambda: None)
    engine.dispose()


def ask(app, method: str, path: str, **parts) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://a", headers=headers) as client:
            return await client.request(method, path, **parts)

    return asyncio.run(once())


def answered(response: httpx.Response) -> None:
    assert response.status_code in EXPECTED, response.text
    told = response.json()
    if response.status_code != 200:
        detail = told["detail"]
        lines = [detail] if isinstance(detail, str) else [one["msg"] for one in detail]
        assert all(line and "\n" not in line for line in lines)


@many
@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_no_question_is_a_fault(app, wanted):
    encoded = [(name, value.encode("utf-8", "surrogatepass")) for name, value in wanted]
    query = "&".join(f"{name}={''.join(f'%{byte:02x}' for byte in value)}" for name, value in encoded)
    answered(ask(app, "GET", f"/v1/alerts?{query}"))


@many
@given(st.sampled_from(["a-0", "a-9", "%00", "a%2F0", "%ff"]), DECISIONS | BODIES)
def test_no_decision_is_a_fault(app, alert_id, body):
    content = json.dumps(body)  # ASCII: lone surrogates travel as their escapes
    headers = {"Content-Type": "application/json"}
    answered(ask(app, "POST", f"/v1/alerts/{alert_id}/acknowledge", content=content, headers=headers))
    answered(ask(app, "GET", f"/v1/alerts/{alert_id}"))
    answered(ask(app, "GET", "/v1/alerts/summary"))


@many
@given(st.binary(max_size=60))
def test_no_body_is_a_fault(app, body):
    headers = {"Content-Type": "application/json"}
    answered(ask(app, "POST", "/v1/alerts/a-1/reopen", content=body, headers=headers))
