# SPDX-License-Identifier: Apache-2.0
"""Each service is a distribution of its own: it installs alone, starts, and cannot import another."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ["collector", "profiler", "embedder", "scorer", "llm-gateway", "console"]


def module_of(service: str) -> str:
    return f"habitus_{service.replace('-', '_')}"


def find_uv() -> str:
    beside = ROOT / ".tools" / "bin" / "uv"
    found = shutil.which("uv") or (str(beside) if beside.exists() else None)
    assert found, "uv is part of the set-up: make setup"
    return found


@pytest.fixture(scope="module", params=SERVICES)
def alone(request, tmp_path_factory):
    """An environment in which only this service is installed, from the lock file."""
    service = request.param
    environment = tmp_path_factory.mktemp(service) / "venv"
    command = [find_uv(), "sync", "--frozen", "--no-dev", "--no-editable", "--quiet"]
    # Built anew: uv's cache knows a member by its pyproject.toml and would hand out an old build.
    fresh = [f"--reinstall-package={name}" for name in ("habitus", f"habitus-{service}")]
    done = subprocess.run(
        [*command, *fresh, "--package", f"habitus-{service}"],
        cwd=ROOT,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return service, environment / "bin" / "python"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -P: the caller's folder is no source of modules.
    return subprocess.run([python, "-P", *arguments], cwd="/", capture_output=True, text=True, check=False)


def test_a_service_alone_starts_and_explains_itself(alone):
    service, python = alone
    modules = [module_of(service), *(["habitus_console.service"] if service == "console" else [])]
    for module in modules:
        done = run(python, "-m", module, "--help")
        assert done.returncode == 0, done.stderr
        assert "usage" in done.stdout.lower()


def test_a_service_alone_cannot_import_another(alone):
    service, python = alone
    for other in SERVICES:
        done = run(python, "-c", f"import {module_of(other)}")
        assert (done.returncode == 0) == (other == service), f"{service} and {other}: {done.stderr}"
