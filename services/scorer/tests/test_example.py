# SPDX-License-Identifier: Apache-2.0
"""The example engine of a third party: packaged, installed and run as a user would."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scorer_making import TS, anomaly, publish, scorer, scores

from habitus.bus import Bus

ROOT = Path(__file__).parents[3]
HOUR = 3600


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder into which the example's wheel is installed; its one dependency is there already."""
    beside = ROOT / ".tools" / "bin" / "uv"
    uv = shutil.which("uv") or str(beside)
    built, target = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("target")
    source = shutil.copytree(ROOT / "examples" / "office-hours", built / "source")
    for command in (
        ["build", "--wheel", "--quiet", "--out-dir", str(built), str(source)],
        ["pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(target)],
    ):
        wheels = [str(path) for path in built.glob("*.whl")]
        done = subprocess.run([uv, *command, *wheels], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return target


async def test_the_example_scores_beside_the_built_in_engines(bus: Bus, environment, installed: Path):
    """Named in the settings it is loaded, weighed, given its table, and speaks in the score."""
    night = TS // 10**9 % 86_400 // HOUR  # the hour of the first event
    settings = {"HABITUS_SCORER_ENGINES": "profile,rule,office-hours", "PYTHONPATH": str(installed)}
    table = f'{{"office-hours": {{"from": {night + 1}, "to": {night + 3}, "at_once": 2}}}}'
    named = environment | settings | {"HABITUS_SCORER_ENGINE": table}
    async with scorer(named):
        await publish(bus, anomaly(pid=41), anomaly(pid=42, seconds=HOUR))
        outside, inside = sorted(await scores(bus, 2), key=lambda one: one.anomaly_id)
    assert list(outside.engines) == ["profile", "rule", "office-hours"]
    assert outside.engines["office-hours"].points == outside.engines["office-hours"].max_points == 20
    assert [finding.id for finding in outside.engines["office-hours"].findings] == ["office-hours/outside"]
    assert (inside.engines["office-hours"].points, inside.engines["office-hours"].abstained) == (0, False)


async def test_without_being_named_it_is_not_even_imported(bus: Bus, environment, installed: Path, tmp_path):
    """An installed engine that the settings do not name costs nothing and can break nothing."""
    broken = tmp_path / "site"
    shutil.copytree(installed, broken)
    (broken / "habitus_office_hours" / "__init__.py").write_text("raise SystemExit('imported')\n")
    environment = environment | {"HABITUS_SCORER_ENGINES": "profile,rule", "PYTHONPATH": str(broken)}
    async with scorer(environment):
        await publish(bus, anomaly())
        [score] = await scores(bus, 1)
    assert list(score.engines) == ["profile", "rule"]
