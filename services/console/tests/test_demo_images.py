# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess
import tarfile

import pytest

from habitus_console.demo import image
from habitus_console.demo.image import ImageFault


@pytest.fixture
def standin(tmp_path):
    if not any(map(shutil.which, image.COMPILERS)):
        pytest.skip("no C compiler: apt-get install clang-19")
    return image.compile_standin(tmp_path)


def test_the_stand_in_is_static_and_harmless(standin):
    done = subprocess.run([standin, "-o", "pool.example:4444"], capture_output=True, check=False, timeout=5)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert b"/lib64/ld-linux" not in standin.read_bytes()


def test_the_image_is_a_docker_archive_that_names_itself(standin, tmp_path):
    if shutil.which("bash-static") is None or shutil.which("busybox") is None:
        pytest.skip("needs bash-static and busybox-static")
    with tarfile.open(image.webapp(tmp_path, standin)) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))
        assert manifest["RepoTags"] == ["webapp:v1"]
        with tarfile.open(fileobj=tar.extractfile(manifest["Layers"][0])) as layer:
            assert {"usr/bin/java", "bin/bash", "app/serve.sh"} <= set(layer.getnames())


def test_a_missing_program_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageFault, match="apt-get install clang-19"):
        image.compile_standin(tmp_path)
