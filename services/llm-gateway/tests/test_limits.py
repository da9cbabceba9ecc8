# SPDX-License-Identifier: Apache-2.0
"""The circuit breaker and the day's book by themselves; at work: test_gateway."""

import pytest

from habitus.llm_settings import LlmSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.breaker import Breaker
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.ledger import Ledger, Spend


def test_one_question_tries_a_rested_provider_whoever_else_leaves():
    now = [0.0]
    breaker = Breaker(1, 10, lambda: now[0])
    slow = breaker.enter()
    breaker.fail("HTTP 500")
    assert (breaker.state, breaker.enter()) == ("open", "refused")
    now[0] = 11
    trial = breaker.enter()
    assert (slow, trial, breaker.enter()) == ("entered", "trial", "refused")
    breaker.leave(slow)
    assert breaker.enter() == "refused"
    breaker.leave(trial)
    assert breaker.enter() == "trial"
    breaker.fail("HTTP 500")
    assert breaker.state == "open"


def test_what_is_only_set_aside_refuses_a_question_and_does_not_end_the_day():
    book = Ledger(tokens=100, today=lambda: "2026-11-24")
    assert book.reserve(Spend(tokens=80))
    assert not book.reserve(Spend(tokens=80))
    assert book.state["state"] == "open"
    book.settle(Spend(tokens=80), Spend(tokens=30))
    assert not book.reserve(Spend(tokens=80))
    assert book.state["state"] == "spent"
    assert book.reserve(Spend(tokens=60))
    assert book.state["state"] == "open"


def test_a_budget_in_dollars_needs_prices(tmp_path):
    (tmp_path / "key").write_text("k")
    chosen = LlmSettings(provider="openai", model="m", key_file=tmp_path / "key", usd_per_day=1)
    with pytest.raises(PluginFault, match=r"llm\.usd_per_day needs the prices of provider 'openai'"):
        Gateway.opened(chosen)


def test_the_day_s_spend_outlives_a_restart_and_ends_with_the_day(tmp_path):
    day = ["2026-11-24"]
    file = tmp_path / "spend.json"
    book = Ledger(usd=1, file=file, today=lambda: day[0])
    assert book.reserve(Spend(0.9, 10))
    book.settle(Spend(0.9, 10), Spend(0.8, 10))
    again = Ledger(usd=1, file=file, today=lambda: day[0])
    assert not again.reserve(Spend(0.3, 1))
    assert again.state["state"] == "spent"
    day[0] = "2026-11-25"
    assert again.state["state"] == "open"
    assert again.reserve(Spend(0.3, 1))
    assert Ledger(usd=1, file=file, today=lambda: day[0]).state["usd"] == 0
    file.write_text("{")
    assert Ledger(usd=1, file=file, today=lambda: "2026-11-24").state["usd"] == 0
