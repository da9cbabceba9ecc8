# SPDX-License-Identifier: Apache-2.0
"""The lexical model: deterministic, neighbour-independent, unit vectors for any text."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitus_embedder.models.lexical import LexicalModel, typed

MODEL = LexicalModel()
HOSTILE = st.text(st.characters(), max_size=200)  # surrogates, NUL, bidi marks and all


def embedded(*texts: str) -> np.ndarray:
    return MODEL.encode_post(MODEL.encode_core(MODEL.encode_pre(list(texts))))


def test_the_bytes_of_a_vector_never_change():
    texts = ["java -jar /app/<path> --ts=<timestamp>", "", "rm -rf /", "\u202e\ud800 \x1b[31m 高危"]
    raw = embedded(*texts).astype("<f4").tobytes()
    assert (
        hashlib.sha256(raw).hexdigest() == "c9b10b1288f8a22296941052fe0b6a3baf94bfba92d0b9d5c55b01e67255fa9a"
    )


@given(st.lists(HOSTILE, min_size=1, max_size=8))
@settings(deadline=None)
def test_any_text_gets_a_unit_vector_that_its_neighbours_do_not_touch(texts):
    together = embedded(*texts)
    assert together.dtype == np.float32
    assert together.shape == (len(texts), MODEL.dimension)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for text, row in zip(texts, together, strict=True):
        assert embedded(text).tobytes() == row.tobytes()


def test_a_text_of_the_greatest_length_is_read_to_its_end():
    start = "a " * (MODEL.max_length // 2 - 4)
    with_tail, without = embedded(start + "evil", start)
    assert with_tail.tobytes() != without.tobytes()


def test_the_empty_text_and_white_space_are_one_defined_direction():
    empty, blank = embedded("", " \t\n")
    assert empty.tobytes() == blank.tobytes()
    assert np.linalg.norm(empty) == pytest.approx(1)


def test_end_marks_cannot_be_forged_from_text():
    assert embedded("a b").tobytes() != embedded("a\0\0b").tobytes()


def test_all_that_cancels_out_still_has_length_one():
    assert np.linalg.norm(MODEL.encode_post(np.zeros((1, MODEL.dimension)))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--port 8080", "--port <number>"),
        ("--id 123e4567-e89b-12d3-a456-426614174000", "--id <uuid>"),
        ("--ts=2026-01-09T10:22:31Z", "--ts=<timestamp>"),
        ("--day 2026-01-09", "--day <timestamp>"),
        ("ping 10.0.0.9:80", "ping 10.0.0.9:<number>"),
        ("git show 9fceb02d0ae5", "git show <hex>"),
        ("0xdeadbeef", "<hex>"),
        ("facade added", "facade added"),
        ("-Xmx512m", "-Xmx<number>m"),
        ("<path> --ts=<timestamp>", "<path> --ts=<timestamp>"),
    ],
)
def test_volatile_parts_become_their_type(text, expected):
    assert typed(text) == expected


def test_values_of_the_same_type_are_the_same_text():
    first, second = embedded("job --ts=2026-01-09T10:22:31Z --n 7", "job --ts=2025-11-30T23:00:00Z --n 41")
    assert first @ second == pytest.approx(1)
