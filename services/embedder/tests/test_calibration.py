# SPDX-License-Identifier: Apache-2.0
"""Where the lexical model's threshold comes from: cosine to the nearest learned line of the program."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from habitus_embedder.models.lexical import LexicalModel

MODEL = LexicalModel()
PROGRAMS = tomllib.loads((Path(__file__).parent / "data/command_lines.toml").read_text())["program"]


def nearest(lines: list[str], learned: list[str]) -> list[float]:
    rows = MODEL.encode_post(MODEL.encode_core(MODEL.encode_pre(lines + learned)))
    return list((rows[: len(lines)] @ rows[len(lines) :].T).max(axis=1))


@pytest.fixture(scope="module")
def cosines() -> dict[str, np.ndarray]:
    found: dict[str, list[float]] = {"benign": [], "hostile": [], "near": [], "different": []}
    for program in PROGRAMS:
        for kind in ("benign", "hostile", "near"):
            found[kind] += nearest(program[kind], program["learned"])
        for other in PROGRAMS:
            if other is not program:
                found["different"] += nearest(other["learned"] + other["benign"], program["learned"])
    return {kind: np.array(values) for kind, values in found.items()}


def test_hardly_a_benign_variation_falls_under_the_threshold(cosines):
    assert (cosines["benign"] < MODEL.threshold).mean() <= 0.05


def test_no_other_use_of_the_program_reaches_the_threshold(cosines):
    assert cosines["hostile"].max() < MODEL.threshold


def test_no_line_of_another_program_reaches_the_threshold(cosines):
    assert cosines["different"].max() < MODEL.threshold


def test_small_hostile_edits_pass_any_threshold_and_so_belong_to_the_slots(cosines):
    """Documents what cosine cannot do; a profile compares slots exactly before it asks."""
    assert (cosines["near"] >= MODEL.threshold).mean() >= 0.5
