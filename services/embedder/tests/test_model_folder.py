# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a model folder or its settings is one clear line at the start."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from habitus.service import ServiceFault
from habitus.settings import EmbedderSettings
from habitus_embedder.models import session
from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.graph import Graph
from habitus_embedder.models.manifest import verify, write_sums
from habitus_embedder.models.onnx import minilm, qwen3
from habitus_embedder.placement import cpus, stay_on

FOLDER = Path(__file__).parent / "data" / "tiny-qwen3"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "model")


def unlisted(folder: Path) -> Path:
    (folder / "SHA256SUMS").unlink()
    return folder


def break_graph(folder: Path) -> None:
    graph = folder / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:100_000])


def change(folder: Path, name: str, **keys: object) -> None:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    old = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(old | keys))


FAULTS = {
    "no tokenizer": (lambda at: (at / "tokenizer.json").unlink(), "no tokenizer.json"),
    "no tokenizer in it": (lambda at: (at / "tokenizer.json").write_text("{}"), "not a tokenizer"),
    "no graph": (
        lambda at: (at / "model.onnx").unlink(),
        "no ONNX graph in it; make one with `habitus model",
    ),
    "corrupt graph": (break_graph, "ONNX Runtime cannot load it"),
    "graph of other bytes": (lambda at: (at / "model.onnx").write_bytes(b"\x1b[31m"), "cannot load it"),
    "configuration": (lambda at: (at / "config.json").write_text("{"), "config.json: not JSON"),
    "another tokenizer": (lambda at: change(at, "config.json", vocab_size=100), "another model's tokenizer"),
    "pooling": (
        lambda at: change(at, "1_Pooling/config.json", pooling_mode_weightedmean_tokens=True),
        "pooling pooling_mode_weightedmean_tokens is not served",
    ),
    "module": (
        lambda at: (at / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]'),
        "module Dense is not served",
    ),
    "own words": (lambda at: change(at, "habitus.json", threshold=7), "habitus.json: threshold: "),
}


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)
def test_a_folder_that_does_not_fit_is_refused_in_one_printable_line(folder, spoil, said):
    spoil(unlisted(folder))
    with pytest.raises(ModelFault) as fault:
        qwen3(EmbedderSettings(path=folder))
    assert said in str(fault.value)
    assert str(fault.value).isprintable()


def test_a_smaller_vocabulary_than_the_graph_s_own_tokens_fails_at_the_start(folder):
    """config.json does not say it, so the graph itself does."""
    described = json.loads((unlisted(folder) / "tokenizer.json").read_text())
    described["model"]["vocab"] |= {"h": 4000}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelFault, match="the graph does not run with this tokenizer"):
        qwen3(EmbedderSettings(path=folder))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_file_that_is_not_as_listed_is_refused(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelFault, match=rf"{name}: not the file that SHA256SUMS lists"):
        qwen3(EmbedderSettings(path=folder))


def test_checksums_cannot_point_outside_and_are_sha256sum_s_own_form(folder, tmp_path):
    assert verify(folder)
    (tmp_path / "secret").write_text("x")
    (folder / "SHA256SUMS").write_text("0" * 64 + "  ../secret\n")
    with pytest.raises(ModelFault, match="line 1: not `<sha256>  <file of this folder>`"):
        verify(folder)
    write_sums(folder)
    assert verify(folder)
    assert not verify(unlisted(folder))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"provider": "cuda"},
            r"cuda is not in this ONNX Runtime \(it has .*CPU.*\); install onnxruntime-gpu",
        ),
        ({"provider": "tensorrt"}, "tensorrt is not in this ONNX Runtime"),
        ({"provider": "openvino"}, r"install onnxruntime-openvino"),
        ({"provider": "rocm"}, r"install onnxruntime-migraphx"),
        ({"dimension": 65}, "embedder.dimension: 65; this model has 32 to 64"),
        ({"dimension": 31}, "embedder.dimension: 31; this model has 32 to 64"),
        ({"max_length": 49}, "embedder.max_length: 49; this model has at most 48 tokens"),
        ({"file": "../model.onnx"}, r"embedder.file: ../model.onnx: no such file in"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(settings, said):
    with pytest.raises(ModelFault, match=said):
        qwen3(EmbedderSettings(path=FOLDER, **settings))


def test_a_model_without_instructions_or_smaller_dimensions_says_so():
    with pytest.raises(ModelFault, match="a minilm model knows no instructions"):
        minilm(EmbedderSettings(path=FOLDER, instruction="x"))
    with pytest.raises(ModelFault, match="this model has 64 only"):
        minilm(EmbedderSettings(path=FOLDER, dimension=32))


def test_a_provider_that_is_there_is_asked_first_and_the_rest_follows():
    available = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    chosen = session.chosen(EmbedderSettings(provider="tensorrt", device=1), available)
    assert [name for name, _ in chosen] == available
    assert chosen[1][1] == {"device_id": "1"}
    assert session.threads(EmbedderSettings(threads=3)) == 3
    assert session.threads(EmbedderSettings()) >= 1


def fake(inputs: list[tuple[str, str, list]], outputs: list[tuple[str, list]]) -> SimpleNamespace:
    def get_inputs():
        return [SimpleNamespace(name=name, type=kind, shape=shape) for name, kind, shape in inputs]

    return SimpleNamespace(
        get_inputs=get_inputs,
        get_outputs=lambda: [SimpleNamespace(name=name, shape=shape) for name, shape in outputs],
    )


IDS = [("input_ids", "tensor(int64)", ["n", "t"]), ("attention_mask", "tensor(int32)", ["n", "t"])]
HIDDEN = [("logits", ["n", "t", 9]), ("last_hidden_state", ["n", "t", 64])]


def test_inputs_are_what_the_graph_asks_for_past_key_values_among_them():
    past = ("past_key_values.0.key", "tensor(float16)", ["n", 2, "past", 8])
    more = [("token_type_ids", "tensor(int64)", []), ("position_ids", "tensor(int64)", []), past]
    graph = Graph(fake([*IDS, *more], HIDDEN))
    feed = graph.feed(np.array([[5, 6, 0]]), np.array([[1, 1, 0]]))
    assert feed["past_key_values.0.key"].shape == (1, 2, 0, 8)
    assert feed["past_key_values.0.key"].dtype == np.float16
    assert feed["attention_mask"].dtype == np.int32
    assert feed["position_ids"].tolist() == [[0, 1, 0]]
    assert (graph.output, graph.by_token, graph.dimension) == ("last_hidden_state", True, 64)
    assert not Graph(fake(IDS, [("sentence_embedding", ["n", 64])])).by_token


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([("pixels", "tensor(float)", [])], HIDDEN, "the graph takes pixels: without input_ids"),
        ([*IDS, ("bbox", "tensor(int64)", [])], HIDDEN, "wants an input bbox, which is not served"),
        ([*IDS, ("x", "tensor(string)", [])], HIDDEN, r"input x is a tensor\(string\)"),
        (IDS, HIDDEN[:1], "the graph gives logits: none of last_hidden_state"),
    ],
)
def test_a_graph_that_is_no_embedding_model_is_named_for_what_it_lacks(inputs, outputs, said):
    with pytest.raises(ModelFault, match=said):
        Graph(fake(inputs, outputs))


def test_a_numa_node_is_read_from_the_kernel_and_an_absent_one_is_named(tmp_path):
    assert cpus("0-2,5\n") == {0, 1, 2, 5}
    (tmp_path / "node0").mkdir()
    (tmp_path / "node0" / "cpulist").write_text("100000\n")
    with pytest.raises(ServiceFault, match="no node 3 here; there is 0"):
        stay_on(3, tmp_path)
    with pytest.raises(ServiceFault, match="may use no processor of node 0"):
        stay_on(0, tmp_path)
