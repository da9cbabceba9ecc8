# SPDX-License-Identifier: Apache-2.0
"""Answers of the vendors' full shape come through each client; what else may happen to a provider."""

import json
from pathlib import Path

import pytest
from gateway_making import opened, request, settings_for
from gateway_wire import Reply, Wire, refused, verdict

EXCHANGES = sorted((Path(__file__).parent / "exchanges").glob("*.json"), key=lambda path: path.stem)


@pytest.mark.parametrize("path", EXCHANGES, ids=lambda path: path.stem)
async def test_an_answer_of_the_vendor_s_shape_is_read(path, tmp_path):
    body = json.loads(path.read_text())
    wire = Wire(lambda _: Reply(200, body))
    async with wire.serving():
        gateway = opened(settings_for(wire, tmp_path, path.stem))
        reply = await gateway.judge(request())
        await gateway.close()
    assert (reply.note, reply.verdict, reply.techniques, len(wire.calls)) == ("", "malicious", ["T1496"], 1)
    assert (reply.tokens_in, reply.tokens_out) == (1120, 301)
    assert reply.model == body.get("model", body.get("modelVersion"))


async def test_a_key_that_is_revoked_is_told_and_what_is_known_stays(tmp_path):
    wire = Wire(verdict(), lambda call: refused(call, 401))
    async with wire.serving():
        gateway = opened(settings_for(wire, tmp_path))
        assert (await gateway.judge(request())).verdict == "malicious"
        gone = await gateway.judge(request("other"))
        assert (gone.abstained, gone.note) == (True, "provider openai: key refused: HTTP 401")
        assert gateway.state["chain"][0]["why"] == "key refused: HTTP 401"
        assert (await gateway.judge(request())).flags == ["cached"]
        await gateway.close()


async def test_a_provider_that_is_down_at_the_start_is_asked_when_it_is_up(tmp_path):
    wire = Wire()
    async with wire.serving():
        port = int(wire.address.rsplit(":", 1)[1])
    gateway = opened(settings_for(wire, tmp_path))
    await gateway.prepare()
    assert (await gateway.judge(request())).note == "provider openai: unavailable: no connection"
    async with wire.serving(port):
        assert (await gateway.judge(request())).verdict == "malicious"
        await gateway.close()
