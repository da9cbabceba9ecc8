# SPDX-License-Identifier: Apache-2.0
"""Of the loaders, only the one that a setting names is imported."""

import subprocess
import sys

import pytest

MODULES = """
import sys
from habitus import plugins
from habitus_collector import __main__, loaders
plugins.load(loaders.GROUP, sys.argv[1])
print(*sorted(name for name in sys.modules if name == "bcc" or name.startswith(loaders.__name__ + ".")))
"""
HERE = "habitus_collector.loaders"
BCC = {f"{HERE}.bcc{module}" for module in ("", ".headers", ".loader", ".records", ".running", ".side")}


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("replay", {f"{HERE}.replay"}),
        ("core", {f"{HERE}.core"}),
        ("bcc", {f"{HERE}.core", *BCC}),  # and the library bcc not even then: a process of its own has it
    ],
)
def test_a_loader_brings_its_own_modules_and_no_others(name, modules):
    said = subprocess.check_output([sys.executable, "-c", MODULES, name], text=True)

    assert set(said.split()) == modules
