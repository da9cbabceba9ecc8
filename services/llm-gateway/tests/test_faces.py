# SPDX-License-Identifier: Apache-2.0
"""Real gateway processes on a real nats-server, asked over NATS and HTTP."""

import asyncio
import socket
from typing import Any

import httpx
import nats
import pytest

from habitus import subjects
from habitus.judging import JudgeReply, JudgeRequest

NOTE = "no LLM provider is set; see HABITUS_LLM_PROVIDER"
REQUEST = JudgeRequest(image="webapp:v1", reason="unknown-path", detail="\u202e\x1b[31m 高危")


@pytest.fixture
async def client(nats_server):
    connected = await nats.connect(nats_server.settings.url, token=nats_server.token)
    yield connected
    await connected.close()


async def ask(client, data: bytes) -> JudgeReply:
    reply = await client.request(subjects.JUDGE, data, timeout=30)
    return JudgeReply.model_validate_json(reply.data)


async def test_a_request_over_nats_abstains_without_a_provider(start, client):
    start()
    reply = await ask(client, REQUEST.model_dump_json().encode())
    assert (reply.abstained, reply.note, reply.verdict) == (True, NOTE, "unsure")


async def test_bad_requests_over_nats_abstain_and_name_the_field(start, client):
    start()
    bad = {
        b'{"image": "a"}': "bad request: reason: Field required",
        b'{"image": "a", "reason": "b", "x\x7f": 1}': r"bad request: x\x7f: Extra inputs are not permitted",
        b'{"image": 1}': "bad request: image: Input should be a valid string (and 1 more)",
        b"{": "bad request: body: Invalid JSON",
        b"\xff": "bad request: body: Invalid JSON",
        b"": "bad request: body: Invalid JSON",
        b'{"event": ' + b"[" * 50_000: "bad request: body: Invalid JSON",
    }
    replies = await asyncio.gather(*(ask(client, data) for data in bad))
    for reply, said in zip(replies, bad.values(), strict=True):
        assert reply.abstained
        assert reply.note.startswith(said)
    assert (await ask(client, REQUEST.model_dump_json().encode())).note == NOTE


async def test_a_request_over_http_abstains_without_a_provider(start):
    async with httpx.AsyncClient(base_url=start().address) as http:
        answer = await http.post("/v1/judge", json=REQUEST.model_dump())
        assert (answer.status_code, answer.json()["abstained"], answer.json()["note"]) == (200, True, NOTE)
        providers = (await http.get("/v1/providers")).json()
        assert (providers["used"], providers["chain"]) == (None, [])
        assert {"anthropic", "azure-openai", "gemini", "local", "openai"} < set(providers["installed"])
        assert "habitus_llm_questions_total" in (await http.get("/metrics")).text
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert "/v1/judge" in (await http.get("/openapi.json")).json()["paths"]


async def test_bad_requests_over_http_get_422_that_names_the_field_and_echoes_nothing(start):
    bad: list[tuple[dict[str, Any] | str, str]] = [
        ({"image": "a"}, "reason: Field required"),
        ({"image": "a", "reason": "b", "nix": "secret"}, "nix: Extra inputs are not permitted"),
        ({"image": ["secret"], "reason": "b"}, "image: Input should be a valid string"),
        ("{", "body: JSON decode error"),
    ]
    async with httpx.AsyncClient(base_url=start().address) as http:
        for body, said in bad:
            if isinstance(body, str):
                headers = {"content-type": "application/json"}
                answer = await http.post("/v1/judge", content=body, headers=headers)
            else:
                answer = await http.post("/v1/judge", json=body)
            assert (answer.status_code, answer.json()["detail"][0]["msg"]) == (422, said)
            assert "secret" not in answer.text
        chunks = (b" " * 65_536 for _ in range(20))
        too_large = await http.post("/v1/judge", content=_streamed(chunks))
        assert (too_large.status_code, "1048576 bytes" in too_large.json()["detail"]) == (413, True)


async def _streamed(chunks):
    for chunk in chunks:
        yield chunk


async def test_two_gateways_share_the_subject_and_one_may_leave(start, client):
    first, _second = start(), start()
    data = REQUEST.model_dump_json().encode()
    assert {(await ask(client, data)).note for _ in range(20)} == {NOTE}
    code, said = first.end()
    assert (code, "Traceback" in said) == (0, False)
    assert (await ask(client, data)).note == NOTE


def test_a_port_in_use_is_one_clear_line_and_exit_1(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(HABITUS_LLM_PORT=str(port))
        assert process.child.wait(30) == 1
    assert process.log.read_text() == (
        f"habitus llm-gateway: no HTTP on 127.0.0.1 port {port}: Address already in use; "
        "see HABITUS_LLM_HOST and HABITUS_LLM_PORT\n"
    )


def test_an_unknown_provider_is_one_clear_line_and_exit_1(start):
    process = start(HABITUS_LLM_PROVIDER="nix", HABITUS_LLM_MODEL="m")
    assert process.child.wait(30) == 1
    assert process.log.read_text().startswith(
        "habitus llm-gateway: no plugin 'nix' in group 'habitus.providers'"
    )


def test_a_template_that_cannot_be_used_is_one_clear_line_and_exit_1(start, tmp_path):
    (tmp_path / "question.en.j2").write_text("{# version: 1 #}\n{% if %}\n")
    process = start(HABITUS_LLM_PROMPTS=str(tmp_path))
    assert process.child.wait(30) == 1
    assert process.log.read_text().startswith("habitus llm-gateway: prompt question.en.j2: line 2: ")
    assert process.log.read_text().count("\n") == 1
