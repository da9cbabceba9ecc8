# SPDX-License-Identifier: Apache-2.0
"""`habitus llm` against a server that answers as the gateway does, and against nobody."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from habitus_console.cli import app

CHAIN = [{"name": "main", "kind": "openai", "model": "m\x1b[31m", "state": "open", "why": "key refused"}]
BUDGET = {"day": "2026-11-24", "usd": 0.5, "tokens": 70, "state": "spent"}


@pytest.fixture
def gateway(monkeypatch):
    """Serve one answer at the address that the settings name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(server.state).encode())

        def log_message(self, *_words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setenv("HABITUS_LLM_PORT", str(server.server_port))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_providers_show_each_circuit_and_the_budget_escaped(gateway):
    gateway.state = {"chain": CHAIN, "budget": BUDGET, "installed": ["openai"]}
    done = CliRunner().invoke(app, ["llm", "providers"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "key refused" in done.output
    assert "\x1b[31m" not in done.output
    assert "spent" in done.output
    told = CliRunner().invoke(app, ["llm", "providers", "--json"])
    assert json.loads(told.output)["budget"]["tokens"] == 70


def test_without_a_provider_it_says_what_to_set(gateway):
    gateway.state = {"chain": [], "budget": BUDGET, "installed": ["fake", "openai"]}
    done = CliRunner().invoke(app, ["llm", "providers", "--lang", "zh"])
    assert "HABITUS_LLM_PROVIDER" in done.output
    assert "fake, openai" in done.output.replace("\n", " ")


def test_without_an_address_in_the_settings_the_running_stack_tells_where_its_gateway_is(
    nats_server, serve, monkeypatch
):
    serve("llm-gateway", HABITUS_LLM_PORT="0", HABITUS_LLM_PROVIDER="fake")
    monkeypatch.setenv("HABITUS_NATS_URL", nats_server.settings.url)
    monkeypatch.setenv("HABITUS_NATS_TOKEN", nats_server.token)
    done = CliRunner().invoke(app, ["llm", "providers", "--json"])
    assert done.exit_code == 0, done.output
    assert [link["kind"] for link in json.loads(done.output)["chain"]] == ["fake"]


def test_a_language_that_is_neither_is_refused(gateway):
    gateway.state = {"chain": [], "budget": BUDGET, "installed": []}
    done = CliRunner().invoke(app, ["llm", "providers", "--lang", "fr"])
    assert done.exit_code == 2
    assert "en or zh" in done.output
    assert CliRunner().invoke(app, ["llm", "providers", "--lang", "zh_CN.UTF-8"]).exit_code == 0


def test_no_gateway_is_one_line(monkeypatch):
    monkeypatch.setenv("HABITUS_LLM_PORT", "1")
    done = CliRunner().invoke(app, ["llm", "providers"])
    assert done.exit_code == 1
    assert "habitus up" in done.output


def test_evaluate_passes_on_what_the_gateway_says(capfd):
    done = CliRunner().invoke(app, ["llm", "evaluate", "--provider", "fake", "--few", "30", "--json"])
    told = json.loads(capfd.readouterr().out)
    assert done.exit_code == 0
    assert told["no-model.balanced_accuracy"] == 0.5
    assert told["no-model.injection_flips"] == 0


def test_evaluate_names_a_provider_that_is_not_there(capfd):
    for model in (["--model", "m"], []):
        done = CliRunner().invoke(app, ["llm", "evaluate", "--provider", "nix", *model])
        assert done.exit_code == 1
        assert "no plugin 'nix'" in capfd.readouterr().err
