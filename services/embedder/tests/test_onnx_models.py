# SPDX-License-Identifier: Apache-2.0
"""A real Qwen3 graph (two layers, random weights, the real export) answers as transformers does.

`data/tiny_qwen3.json` holds transformers' own answers; tests/models makes both anew with PyTorch.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from habitus.settings import EmbedderSettings
from habitus_embedder.models.folder import open_folder
from habitus_embedder.models.graph import positions
from habitus_embedder.models.onnx import ANY, QWEN3, Hidden, OnnxModel, any_folder, qwen3
from habitus_embedder.models.pooling import cut, pooled

DATA = Path(__file__).parent / "data"
FOLDER = DATA / "tiny-qwen3"
TOLD = json.loads((DATA / "tiny_qwen3.json").read_text())
TEXTS = TOLD["texts"]
RIGHT = {how: np.array(TOLD[how], np.float32) for how in ("last", "mean", "cls", "right", "instructed")}
LONGEST = 48


def model(**settings) -> OnnxModel:
    return qwen3(EmbedderSettings(path=FOLDER, **settings))


@pytest.fixture(scope="module")
def served() -> OnnxModel:
    return model()


def embedded(one: OnnxModel, texts: list[str]) -> np.ndarray:
    return one.encode_post(one.encode_core(one.encode_pre(texts)))


def wrong(vectors: np.ndarray, at: int = 3) -> bool:
    """Tell whether a text's vector is clearly another one than transformers'."""
    return float(vectors[at] @ RIGHT["last"][at]) < 0.99


def test_a_batch_of_mixed_lengths_equals_transformers(served):
    """Among them: one character, none, not ASCII, and more tokens than the model reads."""
    lengths = list(map(len, served.encode_pre(TEXTS)))
    assert (min(lengths), max(lengths)) == (1, LONGEST)
    assert np.abs(embedded(served, TEXTS) - RIGHT["last"]).max() < 1e-4


def test_left_and_right_padding_give_the_same_vectors():
    left = OnnxModel(open_folder(FOLDER), QWEN3, EmbedderSettings(), padding="left")
    ids = left._fed(left.encode_pre(TEXTS))[1]
    assert ids[1, 0] == 0
    assert np.abs(embedded(left, TEXTS) - RIGHT["last"]).max() < 1e-4
    assert np.abs(RIGHT["right"] - RIGHT["last"]).max() < 1e-4


def test_a_text_has_the_same_vector_whatever_its_neighbours(served):
    together = embedded(served, TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        assert np.abs(embedded(served, [text])[0] - row).max() < 1e-6


@pytest.mark.parametrize("dimension", [32, 33, 48, 63, 64])
def test_every_dimension_is_the_normalised_beginning_of_transformers_vector(dimension):
    wanted = RIGHT["last"][:, :dimension]
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    found = embedded(model(dimension=dimension), TEXTS)
    assert found.shape == (len(TEXTS), dimension)
    assert np.abs(found - wanted).max() < 1e-4
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_an_instruction_goes_before_every_text():
    found = embedded(model(instruction=TOLD["task"]), TEXTS)
    assert np.abs(found - RIGHT["instructed"]).max() < 1e-4


@pytest.mark.parametrize("how", ["mean", "cls"])
def test_pooling_is_read_from_the_folder_s_own_configuration(tmp_path, how):
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    mode = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}[how]
    config = {"word_embedding_dimension": 64, "pooling_mode_max_tokens": False, mode: True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"type": f"sentence_transformers.models.{name}"}
                for name in ("Transformer", "Pooling", "Normalize")
            ]
        )
    )
    one = OnnxModel(open_folder(folder), QWEN3, EmbedderSettings())
    assert np.abs(embedded(one, TEXTS) - RIGHT[how]).max() < 1e-4


# -- the classic mistakes: each, if made here, gives a clearly other vector ----------------------------


def test_the_last_place_of_a_padded_row_is_not_what_is_pooled(served):
    outputs = served.encode_core(served.encode_pre(TEXTS))
    naive = cut(outputs.rows[:, -1].astype(np.float32), 64)
    assert wrong(naive)
    assert not wrong(served.encode_post(outputs))


def test_the_end_token_stands_behind_every_text_and_matters(served):
    tokens = served.encode_pre(TEXTS)
    assert {one[-1] for one in tokens} == {0}
    assert [one.count(0) for one in tokens] == [1] * len(TEXTS)
    without = served.encode_post(served.encode_core([one[:-1] or one for one in tokens]))
    assert wrong(without)


def test_an_end_token_that_the_tokenizer_itself_appends_is_not_appended_twice(tmp_path, served):
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    described = json.loads((folder / "tokenizer.json").read_text())
    end = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    described["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(described))
    (folder / "SHA256SUMS").unlink()
    one = OnnxModel(open_folder(folder), QWEN3, EmbedderSettings())
    assert one.encode_pre(TEXTS) == served.encode_pre(TEXTS)


def test_the_mask_has_zeros_at_pads_and_matters_with_left_padding():
    left = OnnxModel(open_folder(FOLDER), QWEN3, EmbedderSettings(), padding="left")
    feed, mask = left._fed(left.encode_pre(TEXTS))
    assert (feed["attention_mask"] == mask).all()
    assert mask.sum(axis=1).tolist() == list(map(len, left.encode_pre(TEXTS)))
    ones = np.ones_like(mask)
    naive = left._graph.run(feed | {"attention_mask": ones, "position_ids": positions(ones)})
    assert wrong(left.encode_post(Hidden(naive, mask)))


def test_mean_pooling_leaves_pads_out():
    hidden = np.array([[[1.0, 0.0], [3.0, 0.0], [99.0, 99.0]]], np.float32)
    mask = np.array([[1, 1, 0]])
    assert pooled(hidden, mask, "mean").tolist() == [[2.0, 0.0]]
    assert pooled(hidden, mask, "last").tolist() == [[3.0, 0.0]]
    assert pooled(hidden[:, ::-1], mask[:, ::-1], "cls").tolist() == [[3.0, 0.0]]


def test_mean_pooling_is_not_what_a_last_token_model_gets(served):
    naive = OnnxModel(open_folder(FOLDER), QWEN3, EmbedderSettings())
    naive._pooling = "mean"
    assert wrong(embedded(naive, TEXTS))
    assert not wrong(embedded(served, TEXTS))


def test_an_end_token_spelt_on_a_command_line_is_text_and_no_end(served):
    (tokens,) = served.encode_pre(["curl <|endoftext|> evil"])
    assert tokens.count(0) == 1
    assert len(tokens) > 20


def test_text_that_is_no_unicode_still_has_a_unit_vector(served):
    (row,) = embedded(served, ["\ud800\x00\u202e"])
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)


def test_positions_count_from_the_first_token_whichever_side_is_padded():
    assert positions(np.array([[0, 0, 1, 1], [1, 1, 1, 0]])).tolist() == [[0, 0, 0, 1], [0, 1, 2, 0]]


def test_a_folder_of_an_unknown_family_must_say_how_it_pools():
    with pytest.raises(RuntimeError, match=r"no 1_Pooling/config\.json says how this model pools"):
        OnnxModel(open_folder(FOLDER), ANY, EmbedderSettings())
    with pytest.raises(RuntimeError, match=r"embedder\.path: onnx needs the folder of a model"):
        any_folder(EmbedderSettings())
