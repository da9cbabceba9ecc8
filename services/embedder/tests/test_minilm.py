# SPDX-License-Identifier: Apache-2.0
"""A real MiniLM through the same code: its vectors carry meaning, not only shape."""

import hashlib

import numpy as np
import pytest
from minilm import minilm_folder

from habitus.settings import EmbedderSettings
from habitus_embedder.models.onnx import any_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return any_folder(EmbedderSettings(path=minilm_folder(tmp_path_factory.mktemp("model") / "minilm")))


def embedded(model, texts):
    return model.encode_post(model.encode_core(model.encode_pre(texts)))


def test_it_is_the_file_that_was_looked_at(model, tmp_path):
    graph = minilm_folder(tmp_path / "again") / "model.onnx"
    assert (
        hashlib.sha256(graph.read_bytes()).hexdigest()
        == "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
    )
    assert (model.dimension, model.smallest, model.max_length) == (384, 384, 256)


def test_texts_that_mean_the_same_are_nearer_than_those_that_do_not(model):
    texts = [
        "The cat sits on the mat",
        "A kitten is resting on the rug",
        "Stock markets fell sharply on Monday",
        "Share prices dropped at the start of the week",
        "tar czf /backup/shop.tgz /data",
        "gzip -c /data/shop.tar > /backup/shop.tar.gz",
    ]
    rows = embedded(model, texts)
    near = rows @ rows.T - 2 * np.eye(len(texts))
    assert near.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_a_text_has_the_same_vector_whatever_its_neighbours(model):
    texts = ["ls", "java -jar app.jar " * 40, "nginx -g daemon off;", ""]
    together = embedded(model, texts)
    alone = np.concatenate([embedded(model, [text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-4
    assert max(map(len, model.encode_pre(texts))) <= 256
