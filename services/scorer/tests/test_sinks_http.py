# SPDX-License-Identifier: Apache-2.0
"""Sinks over HTTP against a real server: what it sees, and what its answers mean."""

import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from receivers import Receiver, alert_of, certificate, free_port, receiving, services

from habitus import log
from habitus.alerts import Alert
from habitus.plugins import PluginFault
from habitus.sinks import SinkFault
from habitus_scorer.sinks.falcosidekick import FalcosidekickSink
from habitus_scorer.sinks.http import retry_after
from habitus_scorer.sinks.ocsf import OcsfSink
from habitus_scorer.sinks.slack import SlackSink
from habitus_scorer.sinks.webhook import WebhookSink


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


async def sent(sink, *alerts: Alert) -> None:
    try:
        for alert in alerts:
            await sink.send(alert)
    finally:
        await sink.close()


async def test_a_webhook_gets_the_whole_alert_signed_and_numbered(receiver: Receiver, tmp_path):
    (tmp_path / "secret").write_text("correct-horse\n")
    (tmp_path / "token").write_text("t0ken\n")
    made = services(
        url=f"{receiver.url}/hook?team=1",
        secret_file=tmp_path / "secret",
        token_file=tmp_path / "token",
        headers={"X-Team": "blue"},
    )
    await sent(WebhookSink(made), alert_of(revision=3))
    [asked] = receiver.asked
    assert Alert.model_validate_json(asked.body) == alert_of(revision=3)
    assert asked.path == "/hook?team=1"
    assert (asked.headers["x-team"], asked.headers["authorization"]) == ("blue", "Bearer t0ken")
    assert asked.headers["idempotency-key"] == "a-0123456789abcdef:3"
    moment, given = asked.headers["x-habitus-signature"].removeprefix("t=").split(",v1=")
    signed = hmac.new(b"correct-horse", moment.encode() + b"." + asked.body, hashlib.sha256)
    assert given == signed.hexdigest()
    assert abs(time.time() - int(moment)) < 60


async def test_without_a_secret_nothing_is_signed(receiver: Receiver, monkeypatch):
    monkeypatch.setenv("HOOK", receiver.url)
    await sent(WebhookSink(services(url_env="HOOK")), alert_of())
    assert "x-habitus-signature" not in receiver.asked[0].headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_an_answer_that_no_attempt_mends_is_lasting(receiver: Receiver, status: int):
    receiver.answers, receiver.said = [(status, {})], b"no such\n\x1b[2J channel"
    with pytest.raises(SinkFault, match=rf"answered {status}: no such\\n\\x1b\[2J channel") as fault:
        await sent(WebhookSink(services(url=receiver.url)), alert_of())
    assert fault.value.lasting


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_an_answer_that_may_pass_is_not_lasting(receiver: Receiver, status: int):
    receiver.answers = [(status, {"Retry-After": "7"})]
    with pytest.raises(SinkFault) as fault:
        await sent(WebhookSink(services(url=receiver.url)), alert_of())
    assert not fault.value.lasting
    assert fault.value.retry_after_s == (7 if status in {429, 503} else None)


def test_retry_after_is_read_in_both_forms_and_bounded():
    assert retry_after("120") == 120
    assert retry_after("999999999999") == 3600
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert [retry_after(text) for text in ("", "soon", "-1", "²")] == [None] * 4


async def test_a_redirect_is_not_followed(receiver: Receiver):
    receiver.answers = [(307, {"Location": f"{receiver.url}/elsewhere"})]
    with pytest.raises(SinkFault, match="redirects are not followed") as fault:
        await sent(WebhookSink(services(url=receiver.url)), alert_of())
    assert fault.value.lasting
    assert len(receiver.asked) == 1


SECRET = "T000/B000/s3cr3tpath"


async def test_an_address_that_is_a_secret_is_never_said(receiver: Receiver, tmp_path, caplog):
    """Neither by a fault, nor by a receiver that repeats it, nor by the log of the HTTP library."""
    caplog.set_level("DEBUG")
    (tmp_path / "url").write_text(f"{receiver.url}/{SECRET}\n")
    (tmp_path / "dead").write_text(f"http://127.0.0.1:{free_port()}/{SECRET}\n")
    receiver.answers, receiver.said = [(404, {})], f"nothing at /{SECRET}".encode()
    log.set_up("debug")
    for file in ("url", "dead"):
        with pytest.raises(SinkFault) as fault:
            await sent(SlackSink(services(url_file=tmp_path / file)), alert_of())
        assert "s3cr3t" not in str(fault.value)
        assert fault.value.__cause__ is None
    assert receiver.asked[0].path == f"/{SECRET}"
    assert "s3cr3t" not in caplog.text
    (tmp_path / "url").write_text("hxxp://x/s3cr3t")
    with pytest.raises(PluginFault) as refused:
        SlackSink(services(url_file=tmp_path / "url"))
    assert "s3cr3t" not in str(refused.value)


async def test_tls_is_checked_by_the_authority_of_the_settings(tmp_path):
    cert, key = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    with receiving(tls) as receiver:
        await sent(WebhookSink(services(url=receiver.url, ca_file=cert)), alert_of())
        with pytest.raises(SinkFault, match="its certificate does not hold"):
            await sent(WebhookSink(services(url=receiver.url)), alert_of())
    assert len(receiver.asked) == 1


async def test_a_receiver_that_asks_for_a_certificate_gets_ours(tmp_path):
    cert, key = certificate(tmp_path)
    (tmp_path / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    tls.load_verify_locations(cert)
    tls.verify_mode = ssl.CERT_REQUIRED
    with receiving(tls) as receiver:
        await sent(
            WebhookSink(services(url=receiver.url, ca_file=cert, cert_file=tmp_path / "both.pem")), alert_of()
        )
        with pytest.raises(SinkFault, match="cannot be reached") as fault:
            await sent(WebhookSink(services(url=receiver.url, ca_file=cert)), alert_of())
    assert not fault.value.lasting
    assert len(receiver.asked) == 1


async def test_slack_gets_blocks_in_the_language_of_the_table(receiver: Receiver):
    await sent(SlackSink(services(language="zh", url=receiver.url, link="https://h/a/{id}")), alert_of())
    message = receiver.asked[0].json
    assert [block["type"] for block in message["blocks"]] == ["header", *["section"] * 5, "context"]
    assert "测试：示例告警" in message["text"]
    assert "<https://h/a/a-0123456789abcdef|打开>" in message["blocks"][-1]["elements"][0]["text"]


async def test_falcosidekick_gets_what_falco_would_say(receiver: Receiver):
    alert = alert_of()
    alert.where = alert.where.model_copy(
        update={"image": "reg:5000/team/web:v2", "namespace": "shop", "pod": "web-0"}
    )
    await sent(FalcosidekickSink(services(url=receiver.url)), alert)
    told = receiver.asked[0].json
    assert set(told) == {
        "output", "priority", "rule", "time", "source", "hostname", "tags", "output_fields",
    }  # fmt: skip
    assert (told["priority"], told["source"], told["hostname"]) == ("Critical", "syscall", "sample")
    assert told["time"] == "2025-11-24T16:00:00.123456789Z"
    fields = told["output_fields"]
    assert (fields["container.image.repository"], fields["container.image.tag"]) == (
        "reg:5000/team/web",
        "v2",
    )
    assert (fields["k8s.ns.name"], fields["k8s.pod.name"], fields["proc.pid"]) == ("shop", "web-0", 1)
    assert None not in fields.values()


async def test_ocsf_goes_to_an_address_or_to_a_file(receiver: Receiver, tmp_path):
    await sent(OcsfSink(services(url=receiver.url)), alert_of())
    await sent(OcsfSink(services(path=tmp_path / "findings.jsonl")), alert_of())
    assert json.loads((tmp_path / "findings.jsonl").read_text()) == receiver.asked[0].json
    assert receiver.asked[0].json["class_uid"] == 2004
