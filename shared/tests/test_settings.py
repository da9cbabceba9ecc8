# SPDX-License-Identifier: Apache-2.0
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
    ],
)
def test_a_wrong_key_in_the_file_is_named_with_the_file(tmp_path, monkeypatch, content, named):
    file = tmp_path / "habitus.toml"
    file.write_text(content)
    monkeypatch.setenv("HABITUS_SETTINGS", str(file))
    with pytest.raises(settings.SettingsFault) as fault:
        settings.load()
    assert named in str(fault.value)
    assert str(file) in str(fault.value)
    assert "\n" not in str(fault.value)


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
