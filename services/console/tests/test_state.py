# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from habitus.console_settings import ConsoleSettings
from habitus.settings import NatsSettings, Settings
from habitus_console import state
from habitus_console.state import Api, StateFault


def settings_in(folder, **sections) -> Settings:
    return Settings(console=ConsoleSettings(state=folder), **sections)


def test_the_running_stack_is_found_through_the_state_folder(tmp_path):
    settings = settings_in(tmp_path / "s")
    with pytest.raises(StateFault, match="habitus up"):
        state.broker(settings)
    with state.owned(tmp_path / "s"):
        state.publish_address(tmp_path / "s", NatsSettings(url="nats://127.0.0.1:5", token="secret"))
        found = state.broker(settings)
        assert (found.url, found.token) == ("nats://127.0.0.1:5", "secret")
        assert stat.S_IMODE((tmp_path / "s" / "stack.json").stat().st_mode) == 0o600
    assert state.running_broker(settings) is None


def test_a_broker_that_is_set_wins_over_a_running_stack(tmp_path):
    with state.owned(tmp_path):
        state.publish_address(tmp_path, NatsSettings(url="nats://127.0.0.1:5"))
        settings = settings_in(tmp_path, nats=NatsSettings(url="nats://cluster:4222"))
        assert state.broker(settings).url == "nats://cluster:4222"


def test_one_state_folder_serves_one_stack(tmp_path):
    with state.owned(tmp_path), pytest.raises(StateFault, match="already runs"), state.owned(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateFault, match="file"), state.owned(tmp_path / "file" / "s"):
        pass


@pytest.mark.parametrize("text", ["{half", "[]", '{"url": 1}', "1"])
def test_a_broken_address_file_is_no_running_stack(tmp_path, text):
    (tmp_path / "stack.json").write_text(text)
    assert state.running_broker(settings_in(tmp_path)) is None


def test_who_is_not_root_is_told_how_to_see_root_s_stack(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "ROOTS", tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    for user, hint in ((1000, True), (0, False)):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        with pytest.raises(StateFault) as fault:
            state.broker(Settings())
        assert ("sudo" in str(fault.value)) is hint


def test_the_api_of_the_running_stack_is_found_unless_a_setting_names_another(tmp_path):
    settings = settings_in(tmp_path)
    assert state.api(settings) is None
    nats = NatsSettings(url="nats://127.0.0.1:5", token="secret")
    state.publish_address(tmp_path, nats)
    assert state.api(settings) is None
    state.publish_address(tmp_path, nats, Api("http://127.0.0.1:6", "other"))
    assert state.api(settings) == ("http://127.0.0.1:6", "other")
    assert state.api(settings_in(tmp_path, nats=nats)) == ("http://127.0.0.1:6", "other")
    assert state.api(settings_in(tmp_path, nats=NatsSettings(url="nats://cluster:4222"))) is None
    named = ConsoleSettings(state=tmp_path, url="https://console/", token="a" * 16)
    assert state.api(Settings(console=named)) == ("https://console", "a" * 16)
    with pytest.raises(StateFault, match="HABITUS_CONSOLE_TOKEN"):
        state.api(Settings(console=ConsoleSettings(url="https://console")))


@pytest.mark.parametrize("text", ["[]", "{half", '{"api": 1}', '{"url": "x", "api": {"url": "y"}}'])
def test_a_broken_address_file_names_no_api(tmp_path, text):
    (tmp_path / "stack.json").write_text(text)
    assert state.api(settings_in(tmp_path)) is None
