# SPDX-License-Identifier: Apache-2.0
import tomllib
from pathlib import Path

import pytest

from habitus import settings
from habitus.settings_file import as_toml


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    file = tmp_path / "habitus.toml"
    file.write_text("[profiler]\nwindow_s = 60\nepsilon = 3\n")
    monkeypatch.setenv("HABITUS_SETTINGS", "")
    monkeypatch.setenv("HABITUS_PROFILER_WINDOW_S", "5")
    loaded = settings.load(file)
    assert (loaded.profiler.window_s, loaded.profiler.epsilon) == (5, 3)


def test_lists_come_by_comma_in_the_environment(monkeypatch):
    monkeypatch.setenv("HABITUS_COLLECTOR_DISCOVERY", "cri, docker")
    assert settings.load().collector.discovery == ["cri", "docker"]


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("HABITUS_NATS_ULR", "nats.ulr"),
        ("HABITUS_NAST_URL", "HABITUS_NAST_URL"),
        ("HABITUS_PROFILER_EPSILON", "HABITUS_PROFILER_EPSILON"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, variable, named):
    monkeypatch.setenv(variable, "-1")
    with pytest.raises(settings.SettingsFault, match=named):
        settings.load()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[profiler]\nwindw_s = 5\n", "profiler.windw_s: no such setting"),
        ("[profilr]\nwindow_s = 5\n", "profilr: no such setting"),
        ("[profiler]\nwindow_s = 'long'\n", "profiler.window_s"),
        ("[profiler\n", "line 1"),
        ("\udcff\udcfe", "no TOML: 'utf-8' codec"),
        ("[console]\ntoken = 'short'\n", "console.token: String should have at least 16"),
    ],
)
def test_a_wrong_key_in_the_file_is_named_with_the_file(tmp_path, monkeypatch, content, named):
    file = tmp_path / "habitus.toml"
    file.write_text(content, errors="surrogateescape")
    monkeypatch.setenv("HABITUS_SETTINGS", str(file))
    with pytest.raises(settings.SettingsFault) as fault:
        settings.load()
    assert named in str(fault.value)
    assert str(file) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    file = tmp_path / "habitus.toml"
    file.touch()

    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(tomllib, "load", refuse)  # root may read whatever its mode says
    with pytest.raises(settings.SettingsFault, match=r"habitus\.toml: Permission denied"):
        settings.load(file)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HABITUS_SCORER_SINK", "hook", "scorer.sink: JSON like {"),
        ("HABITUS_SCORER_WEIGHTS", '{"rule":', "scorer.weights: JSON like {"),
        ("HABITUS_COLLECTOR_TARGETS", "shop", "collector.targets: JSON like [{"),
        ("HABITUS_LLM_PROVIDERS", "main", "llm.providers: JSON like {"),
        ("HABITUS_PROFILER", "x", "profiler: JSON like {"),
        ("HABITUS_SCORER_RULES", '["/a"', "scorer.rules: "),
        ("HABITUS_PROFILER_PATH_CHILDREN", '{"/tmp": -2}', "profiler.path_children./tmp: "),
        ("HABITUS_LLM_PROVIDERS", '{"m": {"nix": 1}}', "llm.providers.m.nix: no such setting"),
    ],
)
def test_a_variable_that_should_hold_json_is_named_in_one_line(monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    with pytest.raises(settings.SettingsFault) as fault:
        settings.load()
    assert str(fault.value).startswith(f"environment variable {variable}: {said}")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("value", ["/a, /b", '["/a", "/b"]'])
def test_folders_come_by_comma_or_as_json(monkeypatch, value):
    monkeypatch.setenv("HABITUS_SCORER_RULES", value)
    assert settings.load().scorer.rules == [Path("/a"), Path("/b")]


def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HABITUS_SETTINGS", str(tmp_path / "none.toml"))
    with pytest.raises(settings.SettingsFault, match=r"none\.toml: no such file"):
        settings.load()


def test_the_documented_file_is_the_settings_own():
    shipped = Path(__file__).parents[2] / "deploy" / "habitus.example.toml"
    assert shipped.read_text() == as_toml(), "run: make settings-file"


def test_every_default_in_the_documented_file_is_accepted(tmp_path, monkeypatch):
    lines = [line.removeprefix("# ") for line in as_toml().splitlines()]
    kept = [
        line
        for line in lines
        if line.startswith("[") or (" =" in line and line.split(" =")[0].isidentifier())
    ]
    file = tmp_path / "all.toml"
    file.write_text("\n".join(line for line in kept if not line.endswith(" =")))
    monkeypatch.setenv("HABITUS_SETTINGS", str(file))
    assert settings.load() == settings.Settings()
