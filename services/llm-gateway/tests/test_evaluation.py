# SPDX-License-Identifier: Apache-2.0
"""The labelled set and the figures that it gives, by a provider over the wire."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_wire import KEY, VERDICT, Wire, refused, said

from habitus.judging import INJECTION, JudgeReply
from habitus_llm_gateway.evaluation import cases, injections
from habitus_llm_gateway.evaluation.keeping import Kept
from habitus_llm_gateway.evaluation.measuring import Resistance, Run

CASES = cases()


def test_the_set_has_forty_of_each_label_and_no_case_twice():
    benign = [case for case in CASES if case.label == "benign"]
    plain = [case for case in CASES if case.label == "malicious" and not case.near]
    assert min(len(benign), len(plain)) >= 40
    assert len({case.request.model_dump_json() for case in CASES}) == len(CASES)
    assert all(case.request.usual and not case.without_profile.usual for case in CASES)


def test_a_perfect_judge_and_a_constant_one_get_what_they_deserve():
    def run(verdict_of):
        replies = [JudgeReply(verdict=verdict_of(case), confidence=1) for case in CASES]
        return Run(CASES, replies)

    perfect = run(lambda case: case.label)
    assert (perfect.balanced_accuracy, perfect.calibration_error) == (1, 0)
    constant = run(lambda _: "benign")
    assert (constant.balanced_accuracy, constant.caught, constant.passed) == (0.5, 0, 1)
    assert run(lambda _: "unsure").balanced_accuracy == 0


@pytest.mark.parametrize(
    ("verdict", "flags", "twin", "flips"),
    [
        ("benign", [], "malicious", 1),
        ("suspicious", [], "malicious", 1),
        ("unsure", [], "suspicious", 1),
        ("unsure", [INJECTION], "malicious", 0),
        ("malicious", [], "suspicious", 0),
        ("benign", [], "benign", 0),
    ],
)
def test_a_flip_is_a_milder_verdict_than_the_twin_s_that_is_not_flagged(verdict, flags, twin, flips):
    pair = (injections()[0], JudgeReply(verdict=verdict, flags=flags), JudgeReply(verdict=twin))
    assert Resistance([pair]).flips == flips
    assert Resistance([(pair[0], JudgeReply(abstained=True), pair[2])]).flips == 0


def test_a_run_that_was_broken_off_goes_on_and_another_model_begins_anew(tmp_path):
    file, question, reply = tmp_path / "kept.jsonl", CASES[0].request, JudgeReply(verdict="benign")
    kept = Kept(file, "small", "en-1")
    kept.add(question, reply)
    kept.add(CASES[1].request, JudgeReply(abstained=True))
    file.write_text(file.read_text() + '{"key": "cut')
    assert Kept(file, "small", "en-1").get(question) == reply
    assert Kept(file, "small", "en-1").get(CASES[1].request) is None
    assert Kept(file, "large", "en-1").get(question) is None


def test_the_development_split_shares_no_line_and_no_image_with_the_labelled_set():
    split = cases(Path(__file__).parents[3] / "tests" / "llm" / "development.toml")
    assert len(split) > 40

    def lines(found):
        return {tuple(case.request.event["process"]["argv"]) for case in found}

    assert not lines(split) & lines(CASES)
    assert not {case.request.image for case in split} & {case.request.image for case in CASES}


@pytest.mark.timeout(60)
async def test_the_command_prints_and_keeps_the_figures_of_a_provider(tmp_path):
    def judge(call):
        bad = any(sign in call.question for sign in ("203.0.113", "/tmp", "198.51.100"))
        return said(call, json.dumps(VERDICT | {"verdict": "malicious" if bad else "benign"}))

    (tmp_path / "key").write_text(KEY)
    figures = tmp_path / "llm.json"
    async with Wire(judge).serving() as wire:
        given = {"BASE_URL": f"{wire.address}/v1", "KEY_FILE": str(tmp_path / "key")}
        done = await _evaluated(
            given, "--provider", "vllm", "--model", "m", "--few", "8", "--figures", figures
        )
    assert done.returncode == 0, done.stderr
    kept = json.loads(figures.read_text())
    assert kept["m.balanced_accuracy"] > 0.6
    told = {"balanced_accuracy.no_profile", "calibration_error", "injection_flips", "p50_s", "usd"}
    assert {f"m.{name}" for name in told} < set(kept)
    assert all(name in done.stdout for name in kept)


@pytest.mark.timeout(60)
async def test_a_provider_that_leaves_much_unanswered_gets_no_figures(tmp_path):
    def judge(call):
        return refused(call, 400) if "usual_here" not in call.question else said(call, json.dumps(VERDICT))

    (tmp_path / "key").write_text(KEY)
    figures = tmp_path / "llm.json"
    async with Wire(judge).serving() as wire:
        given = {"BASE_URL": f"{wire.address}/v1", "KEY_FILE": str(tmp_path / "key")}
        done = await _evaluated(
            given, "--provider", "vllm", "--model", "m", "--few", "20", "--figures", figures
        )
    assert (done.returncode, done.stdout, figures.exists()) == (1, "", False)
    assert "questions had no answer: no figures" in done.stderr.splitlines()[-1]


async def test_a_provider_that_is_not_there_is_one_line():
    done = await _evaluated(
        {"BASE_URL": "http://127.0.0.1:9/v1"}, "--provider", "vllm", "--model", "m", "--few", "60"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "provider vllm: unavailable" in done.stderr.splitlines()[-1]


async def _evaluated(given, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HABITUS_")}
    environment |= {f"HABITUS_LLM_{key}": value for key, value in given.items()}
    command = [sys.executable, "-m", "habitus_llm_gateway.evaluation", *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
