# SPDX-License-Identifier: Apache-2.0
"""One model: the engine and a bare session in turns on the same batches. Prints JSON; see embedder.py."""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from habitus.embedding import EmbeddingModel
from habitus.plugins import load
from habitus.settings import EmbedderSettings
from habitus_bench.embedder_texts import texts_of
from habitus_embedder.engine import Engine
from habitus_embedder.waiting import batches

# Larger batches of a 0.6B model would only make each round longer.
_BATCH: Final = {"qwen3": 32}
_USUAL: Final = 64
_SINGLES: Final = 10
_AT: Final = 32


class Exact:
    """The model with its tokeniser in front and then every text cut or filled to its own length.

    A tokenizer of random weights has tokens of one character; lengths must be those that are told.
    """

    def __init__(self, model: EmbeddingModel, tokens: int) -> None:
        self._model = model
        self._tokens = tokens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_pre(self, texts: list[str]) -> list[list[int]]:
        """Tokenise, and take as many tokens as the text has words."""
        made = self._model.encode_pre(texts)
        return [
            (list(one) * 8)[: len(text.split()) + 2]  # type: ignore[call-overload]
            for text, one in zip(texts, made, strict=True)
        ]


def resident_mb() -> float:
    """Return this process's resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def bare_of(model: Any, path: Path | None) -> Callable[[Sequence[Any]], None]:
    """Return what runs one batch of features: a session with ONNX Runtime's own defaults."""
    if path is None:
        return lambda features: model.encode_post(model.encode_core(features))
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])

    def run(features: Sequence[Any]) -> None:
        session.run(["last_hidden_state"], model._fed(features)[0])

    return run


async def rate_of_engine(engine: Engine, texts: list[str]) -> float:
    """Return texts a second, all asked at once."""
    start = time.perf_counter()
    await engine.embed(texts)
    return len(texts) / (time.perf_counter() - start)


def rate_of_bare(run: Callable[[Sequence[Any]], None], model: Any, texts: list[str], most: int) -> float:
    """Return texts a second of the same batches; lexical has no session, so its loop tokenises too."""
    features = None if model.name == "lexical" else model.encode_pre(texts)
    start = time.perf_counter()
    made = features if features is not None else model.encode_pre(texts)
    for batch in batches(texts, made, most, model.batch_tokens):
        run(batch.features)
    return len(texts) / (time.perf_counter() - start)


async def one_length(
    model: Any, run: Any, tokens: int, *, rounds: int, count: int, most: int
) -> tuple[float, float]:
    """Return texts a second and the ratio to the bare session, medians over rounds."""
    served = model if model.name == "lexical" else Exact(model, tokens)
    rates, ratios = [], []
    async with Engine(served, max_batch=most, queue=1 << 20, cache=0) as engine:
        for turn in range(rounds):
            texts = texts_of(tokens, count, f"{tokens} {turn}")
            order = random.Random(turn).random() < 0.5  # noqa: S311 - either may go first
            bare = rate_of_bare(run, served, texts, most) if order else 0.0
            rate = await rate_of_engine(engine, texts)
            bare = bare or rate_of_bare(run, served, texts, most)
            rates.append(rate)
            ratios.append(rate / bare)
    return statistics.median(rates), statistics.median(ratios)


async def single(model: Any) -> float:
    """Return the median milliseconds of one text alone."""
    served = model if model.name == "lexical" else Exact(model, _AT)
    took = []
    async with Engine(served, max_batch=1, queue=1 << 20, cache=0) as engine:
        for text in texts_of(_AT, _SINGLES, "single"):
            start = time.perf_counter()
            await engine.embed([text])
            took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)


async def measured(model: Any, path: Path | None, rounds: int, most: int, *, quick: bool) -> dict[str, float]:
    """Return the figures of one model."""
    found = {"p50_ms": await single(model)}
    # As many as take some seconds a round.
    count = int(min(max(2000 / found["p50_ms"], most), 4096)) // most * most
    await one_length(model, lambda _: None, _AT, rounds=1, count=most, most=most)
    found["rss_mb"] = resident_mb()
    run = bare_of(model, path)
    for tokens in (_AT,) if quick else (_AT, 16, 64):
        rate, ratio = await one_length(
            model, run, tokens, rounds=rounds if tokens == _AT else 1, count=count, most=most
        )
        suffix = "" if tokens == _AT else f"_at_{tokens}"
        found |= {f"sequences_per_s{suffix}": rate, f"ratio_to_bare{suffix}": ratio}
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--path", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    model = load("habitus.models", given.model)(EmbedderSettings(path=given.path))
    found = asyncio.run(
        measured(model, given.path, given.rounds, _BATCH.get(given.model, _USUAL), quick=given.quick)
    )
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
