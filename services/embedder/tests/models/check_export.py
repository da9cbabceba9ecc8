# SPDX-License-Identifier: Apache-2.0
"""The export with PyTorch: `make test-models`. See the README beside it."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_qwen3 import TEXTS, TINY, answers, export, make

from habitus.settings import EmbedderSettings
from habitus_embedder.models.folder import open_folder
from habitus_embedder.models.graph import positions
from habitus_embedder.models.onnx import QWEN3, Hidden, OnnxModel, qwen3
from habitus_embedder.models.pooling import cut, pooled

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module", params=[True, False], ids=["tokenizer appends", "tokenizer does not"])
def source(request, tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("source") / "tiny", TINY, appends=request.param)


def exported(source: Path, out: Path, *options: str) -> tuple[OnnxModel, dict]:
    done = export(source, out, "--json", *options)
    assert done.returncode == 0, done.stderr
    return qwen3(EmbedderSettings(path=out)), json.loads(done.stdout.splitlines()[-1])


def embedded(model: OnnxModel, texts: list[str]) -> np.ndarray:
    return model.encode_post(model.encode_core(model.encode_pre(texts)))


def test_the_export_equals_transformers_with_either_padding(source, tmp_path):
    model, told = exported(source, tmp_path / "out")
    for side in ("left", "right"):
        wanted = answers(source, TEXTS, side)["last"].numpy()
        assert np.abs(embedded(model, TEXTS) - wanted).max() < 1e-4
        for text, row in zip(TEXTS, wanted, strict=True):
            assert np.abs(embedded(model, [text])[0] - row).max() < 1e-4
    assert told["difference"] < 1e-4


def test_every_dimension_is_the_normalised_beginning_of_transformers_vector(source, tmp_path):
    exported(source, tmp_path / "out")
    wanted = answers(source, TEXTS)["last"].numpy()
    for dimension in range(32, 65):
        head = wanted[:, :dimension] / np.linalg.norm(wanted[:, :dimension], axis=1, keepdims=True)
        model = qwen3(EmbedderSettings(path=tmp_path / "out", dimension=dimension))
        assert np.abs(embedded(model, TEXTS) - head).max() < 1e-4


def test_the_classic_mistakes_would_be_seen(source, tmp_path):
    """Each changes the vector far beyond what the equality above lets pass."""
    model, _ = exported(source, tmp_path / "out")
    wanted = answers(source, TEXTS)["last"].numpy()
    left = OnnxModel(open_folder(tmp_path / "out"), QWEN3, EmbedderSettings(), padding="left")
    feed, mask = left._fed(left.encode_pre(TEXTS))
    outputs = model.encode_core(model.encode_pre(TEXTS))
    without_end = model.encode_core([tokens[:-1] or tokens for tokens in model.encode_pre(TEXTS)])
    ones = np.ones_like(mask)
    all_ones = left._graph.run(feed | {"attention_mask": ones, "position_ids": positions(ones)})
    made = {
        "a pad pooled": outputs.rows[:, -1],
        "no end token": model.encode_post(without_end),
        "all-ones mask": left.encode_post(Hidden(all_ones, mask)),
        "the mean": cut(pooled(outputs.rows, outputs.mask, "mean"), 64),
    }
    for mistake, vectors in made.items():
        assert (cut(vectors, 64) * wanted).sum(axis=1).min() < 0.99, mistake


@pytest.mark.parametrize(("precision", "cosine"), [("int8", 0.997), ("fp16", 0.9999)])
def test_smaller_weights_agree_and_do_not_see_their_neighbours(source, tmp_path, precision, cosine):
    full, _ = exported(source, tmp_path / "fp32")
    small, told = exported(source, tmp_path / precision, f"--{precision}")
    together = embedded(small, TEXTS)
    alone = np.concatenate([embedded(small, [text]) for text in TEXTS])
    assert (together * embedded(full, TEXTS)).sum(axis=1).min() > cosine
    # Rows of 32 and 64 numbers average out less of the rounding than the 1024 of a real model.
    assert np.abs(together - alone).max() < (1e-5 if precision == "int8" else 5e-3)
    assert told["precision"] == precision


def test_the_committed_fixture_is_what_the_export_makes(tmp_path):
    source = make(tmp_path / "tiny-qwen3", TINY, appends=False)
    model, _ = exported(source, tmp_path / "out")
    committed = qwen3(EmbedderSettings(path=DATA / "tiny-qwen3"))
    assert np.abs(embedded(model, TEXTS) - embedded(committed, TEXTS)).max() < 1e-5
