# SPDX-License-Identifier: Apache-2.0
"""`habitus calibrate` on vectors whose answer is known, and on a running embedder and profiler."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from habitus_console.calibration import FEWEST, Leaf, hostile_of, leaves, measure, texts

UNIT = np.eye(3, dtype=np.float32)


def at(cosine: float) -> np.ndarray:
    """A unit row with this cosine to the first axis."""
    return np.array([cosine, np.sqrt(1 - cosine * cosine), 0], np.float32)


def test_leaves_with_one_form_have_no_neighbour_and_are_left_out():
    trie = {"sh": {"java": {"arguments": {"a": 3, "b": 1}}, "ls": {"arguments": {"ls": 9}}}}
    assert leaves(trie) == [Leaf("java", ["a", "b"])]


def test_hostile_lines_speak_of_the_leaf_s_own_program():
    own = hostile_of("java")
    assert any("agentpath" in line for line in own)
    assert all("{name}" not in line for line in own)
    assert all(line.startswith("nginx ") for line in hostile_of("nginx"))


def measured(benign: float, hostile: float, forms: int = FEWEST):
    """Pairs of forms at `benign` to each other; every hostile line at `hostile` to the nearest form."""
    found = [Leaf("x", [f"{n} left", f"{n} right"]) for n in range(forms // 2)]
    vectors = {
        form: UNIT[0] if form.endswith("left") else at(benign) for leaf in found for form in leaf.forms
    }
    # The third axis keeps the hostile lines away from the right forms.
    row = np.array([hostile, 0, np.sqrt(1 - hostile * hostile)], np.float32)
    return measure(found, vectors | dict.fromkeys(hostile_of("x"), row), "m", 0.9)


def test_the_threshold_is_proposed_between_the_two_kinds():
    told = measured(0.9, 0.5)
    assert told.proposed is not None
    assert 0.5 < told.proposed.threshold <= 0.9
    assert (told.proposed.false_positives, told.proposed.misses) == (0, 0)
    by_threshold = {point.threshold: point for point in told.curve}
    assert (by_threshold[0.45].misses, by_threshold[0.45].false_positives) == (1, 0)
    assert (by_threshold[0.95].misses, by_threshold[0.95].false_positives) == (0, 1)


def test_too_few_lines_give_a_curve_and_no_proposal():
    told = measured(0.9, 0.5, FEWEST - 2)
    assert told.proposed is None
    assert told.curve


def test_nothing_learned_is_said_without_a_fault():
    told = measure([], {}, "m", 0.9)
    assert (told.benign, told.hostile, told.curve, told.proposed) == (0, 0, [], None)
    assert texts([]) == []


@pytest.fixture
def habitus(nats_server):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "habitus_console", *arguments]
        environment = {**os.environ, **nats_server.environment, "LANG": "C.UTF-8"}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def test_the_commands_ask_the_running_stack(habitus, serve):
    assert "no embedder" in habitus("model", "show").stderr
    serve("embedder", HABITUS_EMBEDDER_PORT="0")
    serve("profiler")
    shown = json.loads(habitus("model", "show", "--json").stdout)
    assert shown == {"model": "lexical", "dimension": 1024, "threshold": 0.65}
    done = habitus("calibrate", "--lang", "zh")
    assert (done.returncode, "lexical: 0 个已学形式" in done.stdout) == (0, True), done
    assert "无建议" in done.stderr


def test_an_export_passes_its_fault_and_exit_code_on(habitus, tmp_path):
    done = habitus("model", "export", "/no/such/folder", "--out", str(tmp_path / "out"))
    assert (done.returncode, "/no/such/folder: no such folder" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
