# SPDX-License-Identifier: Apache-2.0
"""What holds for every file of the tree."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()
GENERATED = re.compile(r"_pb2\.pyi?$")


def files(*endings: str) -> list[str]:
    return [name for name in TRACKED if name.endswith(endings) and not GENERATED.search(name)]


@pytest.mark.parametrize("name", files(".py", ".sh", ".proto"))
def test_every_program_names_its_licence(name):
    head = (ROOT / name).read_text().splitlines()[:3]
    assert any("SPDX-License-Identifier: Apache-2.0" in line for line in head)


@pytest.mark.parametrize("name", [name for name in files(".c", ".h") if name.startswith("bpf/")])
def test_every_bpf_file_is_dual_licensed(name):
    head = (ROOT / name).read_text().splitlines()[:3]
    assert any("SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause" in line for line in head)


def test_the_generated_messages_are_those_of_the_proto_file(tmp_path):
    source = ROOT / "shared" / "src"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={tmp_path}"]
    subprocess.run([*command, "habitus/cri/runtime.proto"], cwd=source, check=True)
    made = (tmp_path / "habitus/cri/runtime_pb2.py").read_text()
    assert made == (source / "habitus/cri/runtime_pb2.py").read_text(), "run: make proto"


@pytest.mark.parametrize(
    "name", sorted({str(Path(name).parent) for name in files(".py") if "/src/" not in name})
)
def test_every_folder_of_programs_says_what_lives_there(name):
    folder = ROOT / name
    nearest = next(place for place in (folder, *folder.parents) if (place / "README.md").exists())
    assert nearest != ROOT or name in {".", "tests"}, f"{name} has no README.md"
    assert len((nearest / "README.md").read_text().splitlines()) > 2


def test_no_file_grows_without_end():
    long = {name: (ROOT / name).read_text().count("\n") for name in files(".py", ".c", ".h")}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}
