# SPDX-License-Identifier: Apache-2.0
"""A real server of another make (infinity, serving MiniLM) behind the plugin `openai`: `make test-models`."""

from pathlib import Path

import numpy as np
import pytest
from habitus_bench.embedder.served import infinity
from minilm import minilm_folder

from habitus.settings import EmbedderSettings
from habitus_embedder.models.onnx import any_folder
from habitus_embedder.models.server import served

PEER = Path(__file__).parents[4] / ".tools" / "peer-embedder" / "bin" / "python"
TEXTS = [
    "java -jar /app/<path> --ts=<timestamp>",
    "",
    "nginx -g 'daemon off;'",
    "高危",
    *(f"line {n} {'of a job ' * (n % 7)}" for n in range(60)),
]


@pytest.fixture(scope="module")
def address():
    with infinity(PEER) as found:
        yield found


def embedded(model, texts):
    return model.encode_post(model.encode_core(model.encode_pre(texts)))


def test_it_gives_the_vectors_of_the_same_model_served_here(address, tmp_path):
    """Ours is quantised, theirs is not: near, and each text nearest to itself."""
    theirs = embedded(served(EmbedderSettings(url=address, served_name="m")), TEXTS)
    ours = embedded(any_folder(EmbedderSettings(path=minilm_folder(tmp_path / "minilm"))), TEXTS)
    assert np.allclose(np.linalg.norm(theirs, axis=1), 1, atol=1e-5)
    # infinity takes no empty text: it gets a blank, which has the same tokens.
    assert (theirs * ours).sum(axis=1).min() > 0.95


def test_a_text_beyond_what_it_takes_is_cut_and_answered(address):
    model = served(EmbedderSettings(url=address, served_name="m"))
    long = "x" * 200_000
    assert np.linalg.norm(embedded(model, ["short", long]), axis=1) == pytest.approx([1, 1], abs=1e-5)
