# SPDX-License-Identifier: Apache-2.0
"""One model: the engine and what is bare of it in turns on the same batches. Prints JSON.

Bare is `session.run` in a loop over the batches that the engine formed: tokenised, sorted and padded
beforehand, and not pooled afterwards. Its session has the engine's own options; `ratio_to_default`
stands beside one with ONNX Runtime's defaults, whose threads wait busily. `lexical` has no session: its
bare side is its own encode call in a loop, which tokenises and normalises too and keeps the vectors.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from habitus.embedding import EmbeddingModel
from habitus.plugins import load
from habitus.settings import EmbedderSettings
from habitus_bench.embedder.texts import texts_of
from habitus_embedder.engine import Engine
from habitus_embedder.models.session import open_session

_AT: Final = 32
_LENGTHS: Final = (16, 64)
# Who asks: so many callers, each with its next request when it has its answer.
_CALLERS: Final = 4
_REQUEST: Final = 256
_SINGLES: Final = 50
_MOST_TEXTS: Final = 8192

Run = Callable[[], object]
Bare = Callable[[Sequence[str], Sequence[Any]], Run]
"""Takes a round's texts and the batches of their features; what it returns runs them."""


class Recorded:
    """The model, remembering the batches that the engine formed.

    With `exact`, every text is cut or filled to its own length: a tokenizer of random weights has
    tokens of one character, and lengths must be those that are told.
    """

    def __init__(self, model: EmbeddingModel, *, exact: bool) -> None:
        self._model = model
        self._exact = exact
        self.batches: list[Sequence[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_pre(self, texts: list[str]) -> Any:
        """Tokenise; with `exact`, take as many tokens as the text has words, and two."""
        made: Any = self._model.encode_pre(texts)
        if not self._exact:
            return made
        return [(list(one) * 8)[: len(text.split()) + 2] for text, one in zip(texts, made, strict=True)]

    def encode_core(self, features: Sequence[Any]) -> Any:
        """Run, and remember the batch."""
        self.batches.append(features)
        return self._model.encode_core(features)


class Sides:
    """The engine and a bare side on the same texts."""

    def __init__(self, model: Any, most: int, seconds: float) -> None:
        self._served = Recorded(model, exact=model.name != "lexical")
        self._most = most
        self._seconds = seconds

    async def compare(self, bare: Bare, tokens: int, rounds: int) -> tuple[float, float]:
        """Return the engine's texts a second and its ratio to the bare side, medians over rounds."""
        rates, ratios = [], []
        async with self._engine() as engine:
            texts = texts_of(tokens, await self._count(engine, tokens), f"{tokens}")
            self._served.batches.clear()
            await _asked(engine, texts)
            run = bare(texts, list(self._served.batches))
            for turn in range(rounds):
                before = None if turn % 2 else _timed(run)
                took = await _asked(engine, texts)
                rates.append(len(texts) / took)
                ratios.append((before or _timed(run)) / took)
        return statistics.median(rates), statistics.median(ratios)

    async def alone(self, bare: Bare) -> tuple[float, float]:
        """Return the median milliseconds of one text alone: through the engine, and bare."""
        ours, bares = [], []
        async with self._engine() as engine:
            await engine.embed(texts_of(_AT, 1, "warm"))
            end = time.perf_counter() + 2 * self._seconds
            for text in texts_of(_AT, _SINGLES, "single"):
                ours.append(await _asked(engine, [text]))
                bares.append(_timed(bare([text], [self._served.encode_pre([text])])))
                if time.perf_counter() > end and len(ours) >= 5:
                    break
        return 1000 * statistics.median(ours), 1000 * statistics.median(bares)

    def _engine(self) -> Engine:
        return Engine(self._served, max_batch=self._most, queue=1 << 20, cache=0)

    async def _count(self, engine: Engine, tokens: int) -> int:
        """Return how many texts take the seconds of a turn, in whole batches; the first run warms."""
        took = [await _asked(engine, texts_of(tokens, self._most, f"warm {n}")) for n in range(2)]
        whole = round(self._seconds / took[-1])
        return min(max(whole, 1) * self._most, _MOST_TEXTS)


async def _asked(engine: Engine, texts: list[str]) -> float:
    """Return the seconds in which the callers have all their answers."""
    share = -(-len(texts) // _CALLERS)

    async def caller(own: list[str]) -> list[list[bytes]]:
        return [await engine.embed(own[at : at + _REQUEST]) for at in range(0, len(own), _REQUEST)]

    start = time.perf_counter()
    await asyncio.gather(*(caller(texts[at : at + share]) for at in range(0, len(texts), share)))
    return time.perf_counter() - start


def _timed(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def bare_lexical(model: Any, most: int) -> Bare:
    """Return the bare side of `lexical`: from texts to vectors, in batches of `most`."""

    def prepared(texts: Sequence[str], _batches: Sequence[Any]) -> Run:
        parts = [list(texts[at : at + most]) for at in range(0, len(texts), most)]
        return lambda: [model.encode_post(model.encode_core(model.encode_pre(part))) for part in parts]

    return prepared


def bare_session(model: Any, session: Any) -> Bare:
    """Return the bare side of a graph: its session alone."""

    def prepared(_texts: Sequence[str], batches: Sequence[Any]) -> Run:
        feeds = [model._fed(batch)[0] for batch in batches]

        def run() -> None:
            for feed in feeds:
                session.run(["last_hidden_state"], feed)

        return run

    return prepared


def default_session(path: Path) -> Any:
    """Return a session with ONNX Runtime's own defaults."""
    import onnxruntime  # noqa: PLC0415  # lexical needs none

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def resident_mb() -> float:
    """Return this process's resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status: no VmRSS")


async def measured(model: Any, path: Path | None, sides: Sides, rounds: int, most: int) -> dict[str, float]:
    """Return the figures of one model."""
    await sides.compare(lambda _texts, _batches: lambda: None, _AT, 1)
    found = {"rss_mb": resident_mb()}
    graph = path / "model.onnx" if path else None
    bare = (
        bare_session(model, open_session(graph, EmbedderSettings())) if graph else bare_lexical(model, most)
    )
    found["p50_ms"], found["bare_p50_ms"] = await sides.alone(bare)
    for tokens in (_AT, *_LENGTHS):
        rate, ratio = await sides.compare(bare, tokens, rounds if tokens == _AT else max(rounds - 2, 1))
        suffix = "" if tokens == _AT else f"_at_{tokens}"
        found |= {f"sequences_per_s{suffix}": rate, f"ratio_to_bare{suffix}": ratio}
    if graph:
        del bare  # a second session is memory enough
        _, found["ratio_to_default"] = await sides.compare(
            bare_session(model, default_session(graph)), _AT, max(rounds - 2, 1)
        )
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--path", type=Path)
    parser.add_argument("--most", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    model = load("habitus.models", given.model)(EmbedderSettings(path=given.path))
    sides = Sides(model, given.most, given.seconds)
    found = asyncio.run(measured(model, given.path, sides, given.rounds, given.most))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
