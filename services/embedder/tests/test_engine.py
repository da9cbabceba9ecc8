# SPDX-License-Identifier: Apache-2.0
"""The engine: batches across requests, bounded, and never takes one caller's fault to another."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from habitus_embedder.cache import Cache
from habitus_embedder.engine import MAX_CHARACTERS, MAX_TEXTS, Engine
from habitus_embedder.faults import ModelFailed, Overloaded, Refused, TooLate, UnknownModel
from habitus_embedder.models.lexical import LexicalModel


class Gated(LexicalModel):
    """Runs only while its gate is open, and records its batches; its steps have threads of their own."""

    light = False

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []

    def encode_core(self, features: Any) -> Any:
        self.batches.append(list(features))
        self.gate.wait(30)
        return super().encode_core(features)


@pytest.fixture
def model():
    gated = Gated()
    yield gated
    gated.gate.set()


def engine(model, max_batch: int = 64, queue: int = 4096, cache: int = 100) -> Engine:
    return Engine(model, max_batch=max_batch, queue=queue, cache=cache)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    pytest.fail("waited in vain")


async def busy(running: Engine, texts: int) -> list[asyncio.Task[list[bytes]]]:
    """Let one batch run and one lie ready, and leave `texts` waiting."""
    tasks = []
    for place in range(2 + texts):
        tasks.append(asyncio.create_task(running.embed([f"filler {chr(97 + place)}"])))
        waiting = max(place - 1, 0)
        await asyncio.sleep(0)
        await until(lambda waiting=waiting: running._waiting.texts == waiting)
    return tasks


async def test_rows_come_in_the_order_of_the_texts_with_repeats():
    async with engine(LexicalModel(), max_batch=2) as running:
        rows = await running.embed(["a", "b", "a", "c"])
    model = LexicalModel()
    expected = model.encode_post(model.encode_core(model.encode_pre(["a", "b", "a", "c"])))
    assert b"".join(rows) == expected.astype("<f4").tobytes()


async def test_texts_of_many_requests_share_a_batch(model):
    async with engine(model, max_batch=3) as running:
        first = [asyncio.create_task(running.embed([f"first {letter}"])) for letter in "abc"]
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(*first, *(running.embed([f"later {letter}"]) for letter in "abcdefghi"))
    assert max(map(len, model.batches)) == 3


async def test_a_text_that_two_ask_for_at_once_runs_once(model):
    async with engine(model) as running:
        tasks = [asyncio.create_task(running.embed(["same", own])) for own in ("first", "second")]
        await until(lambda: model.batches)
        model.gate.set()
        rows = await asyncio.gather(*tasks)
    assert rows[0][0] == rows[1][0]
    assert sorted(text for batch in model.batches for text in batch) == ["first", "same", "second"]


async def test_texts_of_like_length_run_together_within_the_token_budget(model):
    """Lexical tokens are characters; a text beyond the whole budget runs alone."""
    texts = ["a" * 30, "b", "c" * 29, "d", "e" * 200, "f"]
    model.gate.set()
    async with Engine(model, max_batch=4, queue=100, cache=0, batch_tokens=64) as running:
        await running.embed(texts)
    assert [[text[0] for text in batch] for batch in model.batches] == [["e"], ["a", "c"], ["b", "d", "f"]]


async def test_a_text_that_breaks_a_batch_fails_alone_and_the_others_are_answered(model):
    class Breaking(LexicalModel):
        def encode_core(self, features: Any) -> Any:
            if "bad" in features:
                raise MemoryError("no room")
            return super().encode_core(features)

    async with engine(Breaking()) as running:
        texts = ["bad", *("good" + "x" * n for n in range(9))]
        answers = await asyncio.gather(*(running.embed([text]) for text in texts), return_exceptions=True)
        figures = running.metrics.text().decode()
    assert isinstance(answers[0], ModelFailed)
    assert all(isinstance(answer, list) for answer in answers[1:])
    assert 'habitus_embedder_requests_total{outcome="failed"} 1.0' in figures
    assert 'habitus_embedder_requests_total{outcome="done"} 9.0' in figures


async def test_a_light_model_s_steps_share_one_thread_and_another_s_have_one_each():
    class Threads(LexicalModel):
        def __init__(self, *, light: bool) -> None:
            self.light = light
            self.seen: list[str] = []

        def encode_pre(self, texts: Any) -> Any:
            self.seen.append(threading.current_thread().name)
            return super().encode_pre(texts)

        def encode_core(self, features: Any) -> Any:
            self.seen.append(threading.current_thread().name)
            return super().encode_core(features)

        def encode_post(self, outputs: Any) -> Any:
            self.seen.append(threading.current_thread().name)
            return super().encode_post(outputs)

    for light, threads in ((True, 1), (False, 3)):
        model = Threads(light=light)
        async with engine(model) as running:
            await running.embed(["a", "b"])
        assert len(set(model.seen)) == threads
        assert threading.current_thread().name not in model.seen


async def test_a_light_model_s_texts_wait_until_they_are_answered_and_none_is_left_behind():
    gate = threading.Event()

    class Slow(LexicalModel):
        def encode_core(self, features: Any) -> Any:
            gate.wait(30)
            return super().encode_core(features)

    async with engine(Slow(), max_batch=1, queue=3) as running:
        tasks = [asyncio.create_task(running.embed([f"text {letter}"])) for letter in "ab"]
        late = asyncio.create_task(running.embed(["text c"], deadline_ms=100))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await running.embed(["one more"])
        with pytest.raises(TooLate):
            await late
        gate.set()
        await asyncio.gather(*tasks)
        await running.embed(["after"])
        assert (running._waiting.texts, running._waiting.room, running._waiting.asked) == (0, 0, {})


async def test_long_texts_take_the_room_of_several_in_the_queue(model):
    async with engine(model, max_batch=1, queue=20) as running:
        tasks = await busy(running, 1)
        with pytest.raises(Overloaded):
            await running.embed(["y" * 30_000])
        model.gate.set()
        await asyncio.gather(*tasks)


async def test_a_smaller_dimension_is_had_only_where_the_model_allows_it():
    class Nested(LexicalModel):
        smallest = 32

    text = ["java -jar /app/worker.jar --queue orders"]
    async with engine(Nested()) as running:
        (full,), (cut,) = await running.embed(text), await running.embed(text, dimension=64)
        wanted = np.frombuffer(full, "<f4")[:64]
        assert np.allclose(np.frombuffer(cut, "<f4"), wanted / np.linalg.norm(wanted), atol=1e-6)
        with pytest.raises(Refused, match="lexical has 32 to 1024"):
            await running.embed(["a"], dimension=31)
    async with engine(LexicalModel()) as running:
        with pytest.raises(Refused, match="lexical has 1024, and only those"):
            await running.embed(["a"], dimension=64)


async def test_the_second_level_is_asked_first_and_learns_what_the_model_gave(model):
    class Second:
        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}

        async def get(self, texts: Sequence[str]) -> dict[str, bytes]:
            return {text: self.kept[text] for text in texts if text in self.kept}

        def put(self, rows: dict[str, bytes]) -> None:
            self.kept.update(rows)

    second = Second()
    model.gate.set()
    for _ in range(2):
        async with Engine(model, max_batch=8, queue=100, cache=0, second=second) as running:
            await running.embed(["one", "two"])
    assert sorted(text for batch in model.batches for text in batch) == ["one", "two"]
    assert set(second.kept) == {"one", "two"}


async def test_more_than_the_queue_holds_is_refused_with_a_time_to_retry(model):
    async with engine(model, max_batch=1, queue=5) as running:
        tasks = await busy(running, 4)
        waiting = asyncio.create_task(running.embed(["fifth"]))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="retry after") as fault:
            await running.embed(["sixth"])
        assert fault.value.retry_after_ms > 0
        model.gate.set()
        assert len(await asyncio.gather(*tasks, waiting)) == len(tasks) + 1


async def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits():
    async with engine(LexicalModel(), queue=2) as running:
        assert len(await running.embed([str(n) + "x" for n in range(100)])) == 100


async def test_known_texts_are_answered_from_memory_even_when_overloaded(model):
    async with engine(model, max_batch=1, queue=1) as running:
        model.gate.set()
        first = await running.embed(["known"])
        model.gate.clear()
        tasks = await busy(running, 1)
        assert await running.embed(["known"]) == first
        model.gate.set()
        await asyncio.gather(*tasks)


async def test_a_deadline_that_passes_is_an_error_and_its_texts_are_not_run(model):
    async with engine(model, max_batch=1) as running:
        tasks = await busy(running, 1)
        with pytest.raises(TooLate, match="5 ms"):
            await running.embed(["too late"], deadline_ms=5)
        model.gate.set()
        await asyncio.gather(*tasks)
        await running.embed(["another"])
    assert ["too late"] not in model.batches


async def test_a_model_that_raises_fails_its_request_and_the_next_works():
    class Raising(LexicalModel):
        def encode_core(self, features: Any) -> Any:
            if len(features) == 1:
                raise RuntimeError("out of \x1b[31mmemory")
            return super().encode_core(features)

    async with engine(Raising()) as running:
        with pytest.raises(ModelFailed, match=r"RuntimeError: out of \\x1b"):
            await running.embed(["one"])
        assert len(await running.embed(["one", "two"])) == 2


async def test_a_text_that_breaks_the_model_does_not_fail_its_neighbours_in_the_batch():
    class Picky(Gated):
        def encode_pre(self, texts: list[str]) -> Any:
            if "bad" in texts:
                raise ValueError("bad text")
            return super().encode_pre(texts)

    picky = Picky()
    async with engine(picky, max_batch=2) as running:
        tasks = [asyncio.create_task(running.embed([text])) for text in ("good", "bad")]
        picky.gate.set()
        good, bad = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(good, list)
    assert isinstance(bad, ModelFailed)


async def test_vectors_of_the_wrong_shape_are_refused():
    class Short(LexicalModel):
        def encode_post(self, outputs: Any) -> Any:
            return super().encode_post(outputs)[:, :3]

    async with engine(Short()) as running:
        with pytest.raises(ModelFailed, match=r"shape \(1, 3\), not \(1, 1024\)"):
            await running.embed(["x"])


@pytest.mark.parametrize(
    ("texts", "name", "fault", "said"),
    [
        (["a"], "qwen3\x1b", UnknownModel, r"no model 'qwen3\\x1b'; this embedder serves 'lexical'"),
        (["ok", "a" * (MAX_CHARACTERS + 1)], None, Refused, "text 1 has 65537 characters; at most 65536"),
        (["a"] * (MAX_TEXTS + 1), None, Refused, "10001 texts; a request takes at most 10000"),
    ],
)
async def test_bad_requests_are_refused_by_name(texts, name, fault, said):
    async with engine(LexicalModel()) as running:
        with pytest.raises(fault, match=said):
            await running.embed(texts, model=name)


async def test_no_texts_give_no_rows():
    async with engine(LexicalModel()) as running:
        assert await running.embed([]) == []


def test_the_least_recently_used_vector_goes_first():
    cache = Cache(2)
    cache.put("m", {"a": b"1"})
    cache.put("m", {"b": b"2"})
    assert cache.get("m", "a") == b"1"
    cache.put("m", {"c": b"3"})
    assert [cache.get("m", text) for text in "abc"] == [b"1", None, b"3"]
    assert cache.get("other", "a") is None


def test_a_long_text_is_not_kept():
    cache = Cache(2)
    cache.put("m", {"x" * 5000: b"1"})
    assert len(cache) == 0
