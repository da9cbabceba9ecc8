# SPDX-License-Identifier: Apache-2.0
"""What the export does without PyTorch: take a ready graph, refuse what is unsafe, leave nothing half."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from habitus_embedder.export.faults import ExportFault
from habitus_embedder.export.run import Wish, export

FOLDER = Path(__file__).parent / "data" / "tiny-qwen3"


def wish(model: Path | str, out: Path, family: str | None = None) -> Wish:
    return Wish(str(model), out, None, family, "fp32")


def test_a_ready_graph_is_taken_with_checksums_that_sha256sum_reads(tmp_path):
    told = export(wish(FOLDER, tmp_path / "out"))
    assert (told["serve_as"], told["dimension"], told["pooling"]) == ("qwen3", 64, "last")
    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path / "out", capture_output=True, check=False).returncode == 0
    assert json.loads((tmp_path / "out" / "habitus.json").read_text())["name"] == "tiny-qwen3"


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ExportFault, match="pickles, which run code when read"):
        export(wish(tmp_path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_how_an_unknown_model_pools_is_asked_and_not_guessed(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ExportFault, match="name its family by --as"):
        export(wish(folder, tmp_path / "out"))
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("model", "said"),
    [("/no/such", "/no/such: no such folder"), ("../x", "no such folder"), ("a/b/c", "no such folder")],
)
def test_a_name_that_is_neither_folder_nor_repository_is_refused(tmp_path, model, said):
    with pytest.raises(ExportFault, match=said):
        export(wish(model, tmp_path / "out"))


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "kept").write_text("x")
    with pytest.raises(ExportFault, match="is there already and not empty"):
        export(wish(FOLDER, tmp_path))
    assert (tmp_path / "kept").read_text() == "x"
