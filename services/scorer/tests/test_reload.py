# SPDX-License-Identifier: Apache-2.0
"""A user's folder of rules is followed while the engine runs."""

import asyncio
import logging
from pathlib import Path

import pytest
from scorer_making import anomaly, until
from test_rules import GOOD

from habitus.engines import Context, EngineServices
from habitus_scorer import ruleset
from habitus_scorer.engines import rule as rule_engine
from habitus_scorer.engines.rule import RuleEngine
from habitus_scorer.panel import Panel, Seat


async def _nobody(subject: str, payload: bytes, timeout_s: float) -> bytes:
    raise TimeoutError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.yml").write_text(GOOD)
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> RuleEngine:
    return RuleEngine(EngineServices(settings={"rules": [folder]}, max_points=40, request=_nobody))


async def found(engine: RuleEngine, program: str) -> list[str]:
    score = await engine.score(anomaly([program], reason="novel-slot"), Context())
    return [finding.id for finding in score.findings]


async def finds(engine: RuleEngine, program: str, wanted: list[str]) -> bool:
    return await found(engine, program) == wanted


async def test_a_changed_folder_is_in_force_without_a_restart(engine: RuleEngine, folder: Path, monkeypatch):
    """The panel's own work follows the folder: a new file and a changed one count, a removed one doesn't."""
    monkeypatch.setattr(rule_engine, "EVERY_S", 0.01)
    stop = asyncio.Event()
    work = asyncio.create_task(Panel([Seat("rule", engine, 40, 5)]).run(stop))
    (folder / "two.yml").write_text(GOOD.replace("one", "two"))
    await until(lambda: finds(engine, "/two", ["two"]))
    (folder / "one.yml").write_text(GOOD.replace("Image|endswith: /one", "Image|endswith: /other"))
    await until(lambda: finds(engine, "/other", ["one"]))
    (folder / "one.yml").unlink()
    await until(lambda: finds(engine, "/other", []))
    stop.set()
    await work


async def test_a_bad_rule_is_refused_by_name_and_line_and_the_rest_stays(engine, folder: Path, caplog):
    """The refusal names file, line and rule, once; the other rules hold."""
    (folder / "bad.yml").write_text(GOOD.replace("level: low", "level: dreadful").replace("one", "bad"))
    with caplog.at_level(logging.ERROR):
        assert engine.refresh()
        (folder / "three.yml").write_text(GOOD.replace("one", "three"))
        assert engine.refresh()
    assert ["bad.yml:8: rule 'bad'" in text for text in caplog.messages] == [True]
    assert await found(engine, "/one") == ["one"]
    assert await found(engine, "/three") == ["three"]


FALCO = """\
- list: miners
  items: [{names}]
- macro: started
  condition: evt.type=execve
"""
FALCO_RULE = """\
- rule: A miner by name
  condition: started and proc.name in (miners)
  output: o
  priority: ERROR
"""


async def test_falcos_lists_and_macros_are_followed_too(engine: RuleEngine, folder: Path, caplog):
    """A list in one file changes what a rule in another, untouched one says; a bad rule is named."""
    (folder / "a.yaml").write_text(FALCO.format(names="dig"))
    (folder / "b.yaml").write_text(FALCO_RULE)
    assert engine.refresh()
    assert await found(engine, "/bin/dig") == ["falco: A miner by name"]
    assert await found(engine, "/bin/shovel") == []
    (folder / "a.yaml").write_text(FALCO.format(names="dig, shovel"))
    assert engine.refresh()
    assert await found(engine, "/bin/shovel") == ["falco: A miner by name"]
    (folder / "b.yaml").write_text(
        FALCO_RULE + FALCO_RULE.replace("A miner", "Bad").replace("miners", "nil(")
    )
    with caplog.at_level(logging.ERROR):
        assert engine.refresh()
    assert ["b.yaml:5: rule 'Bad by name'" in text for text in caplog.messages] == [True]
    assert await found(engine, "/bin/shovel") == ["falco: A miner by name"]


async def test_a_folder_that_goes_away_leaves_the_rules_as_they_were(engine, folder: Path, tmp_path: Path):
    """Nothing is lost while a volume is away; its return is followed."""
    away = tmp_path.with_name("away")
    folder.rename(away)
    with pytest.raises(FileNotFoundError):
        engine.refresh()
    assert await found(engine, "/one") == ["one"]
    away.rename(folder)
    (folder / "two.yml").write_text(GOOD.replace("one", "two"))
    assert engine.refresh()
    assert await found(engine, "/two") == ["two"]


def test_only_what_changed_is_parsed(engine: RuleEngine, folder: Path, monkeypatch):
    """A changed file costs itself, not the hundreds beside it."""
    parsed: list[str] = []
    whole = ruleset.read_file
    monkeypatch.setattr(
        ruleset, "read_file", lambda path, book: parsed.append(path.name) or whole(path, book)
    )
    assert not engine.refresh()
    (folder / "two.yml").write_text(GOOD.replace("one", "two"))
    assert engine.refresh()
    assert parsed == ["two.yml"]


async def test_own_work_that_fails_ends_no_engine(engine: RuleEngine, monkeypatch, caplog):
    """An engine whose own work raises is logged and goes on answering."""

    started = asyncio.Event()

    async def broken() -> None:
        started.set()
        raise RuntimeError("no")

    monkeypatch.setattr(engine, "run", broken)
    panel, stop = Panel([Seat("rule", engine, 40, 5)]), asyncio.Event()
    work = asyncio.create_task(panel.run(stop))
    await started.wait()
    assert "its own work failed" in caplog.text
    assert not (await panel.judge(anomaly(["/one"]))).scores["rule"].abstained
    stop.set()
    await work
