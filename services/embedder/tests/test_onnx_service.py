# SPDX-License-Identifier: Apache-2.0
"""A real graph behind real processes: OpenAI's client, figures, shared vectors, replicas that come and go."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import nats
import nats.errors
import numpy as np
import openai
import pytest

from habitus import subjects
from habitus.bus import Bus
from habitus.embedding import EmbedReply, EmbedRequest
from habitus.settings import EmbedderSettings
from habitus.wire import decode, encode
from habitus_embedder.models.onnx import qwen3
from habitus_embedder.shared_cache import SharedCache

FOLDER = Path(__file__).parent / "data" / "tiny-qwen3"
QWEN3 = {"HABITUS_EMBEDDER_MODEL": "qwen3", "HABITUS_EMBEDDER_PATH": str(FOLDER)}
TEXTS = ["java -jar /app/<path>", "x", "高危"]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    model = qwen3(EmbedderSettings(path=FOLDER))
    return model.encode_post(model.encode_core(model.encode_pre(TEXTS)))


async def test_openai_s_own_client_works_unmodified_in_both_encodings(start, vectors):
    address = start(**QWEN3).address
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        # The client asks for base64 by itself and unpacks it.
        packed = await client.embeddings.create(model="tiny-qwen3", input=TEXTS)
        floats = await client.embeddings.create(model="tiny-qwen3", input=TEXTS, encoding_format="float")
        short = await client.embeddings.create(model="tiny-qwen3", input=TEXTS[0], dimensions=32)
        (listed,) = (await client.models.list()).data
        with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
            await client.embeddings.create(model="gpt", input="x")
        with pytest.raises(openai.BadRequestError, match="tiny-qwen3 has 32 to 64"):
            await client.embeddings.create(model="tiny-qwen3", input="x", dimensions=31)
    async with httpx.AsyncClient(base_url=address) as http:
        figures = (await http.get("/metrics")).text
    for answer in (packed, floats):
        assert np.abs(np.array([one.embedding for one in answer.data]) - vectors).max() < 1e-6
    head = vectors[0, :32] / np.linalg.norm(vectors[0, :32])
    assert np.abs(np.array(short.data[0].embedding) - head).max() < 1e-6
    assert listed.id == "tiny-qwen3"
    # This tokenizer knows bytes and few longer tokens; each text has its end token.
    tokens = sum(map(len, qwen3(EmbedderSettings(path=FOLDER)).encode_pre(TEXTS)))
    assert packed.usage.prompt_tokens == floats.usage.total_tokens == tokens > len(TEXTS) + 10
    assert 'habitus_embedder_texts_total{source="model"} 3.0' in figures
    assert "habitus_embedder_waiting_texts 0.0" in figures


def other_tokenizer(folder: Path) -> None:
    (folder / "config.json").write_text('{"vocab_size": 100}')


def corrupt_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:50_000])


@pytest.mark.parametrize(
    ("spoil", "listed", "said"),
    [
        (corrupt_graph, True, "not the file that SHA256SUMS lists"),
        (corrupt_graph, False, "ONNX Runtime cannot load it"),
        (other_tokenizer, False, "another model's tokenizer"),
    ],
)
def test_a_model_that_cannot_be_served_ends_the_start_with_one_clear_line(
    start, tmp_path, spoil, listed, said
):
    broken = shutil.copytree(FOLDER, tmp_path / "model")
    spoil(broken)
    if not listed:
        (broken / "SHA256SUMS").unlink()
    process = start(**QWEN3 | {"HABITUS_EMBEDDER_PATH": str(broken)})
    assert process.child.wait(30) == 1
    assert process.said.splitlines()[-1].startswith("habitus embedder: ")
    assert said in process.said
    assert "Traceback" not in process.said


def test_the_example_of_the_readme_runs_as_it_stands(start):
    page = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(from openai.*?)```", page, re.DOTALL)
    address = start().address
    assert "http://127.0.0.1:8601" in example
    code = example.replace("http://127.0.0.1:8601", address) + "\nprint(len(answer.data[0].embedding))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1024"), done.stderr


async def test_vectors_are_shared_over_the_broker_and_a_planted_one_is_not_taken(bus):
    model = qwen3(EmbedderSettings(path=FOLDER))
    first, second = SharedCache(bus, model), SharedCache(bus, model)
    assert await first.open(4)
    assert await second.open(4)
    row = np.eye(1, 64, dtype="<f4").tobytes()
    first.put({"good": row, "short": b"1234", "long": (np.ones(64, "<f4")).tobytes()})
    await asyncio.gather(*first._writes)
    await bus.nc.flush()
    assert await second.get(["good", "short", "long", "unknown"]) == {"good": row}
    other = qwen3(EmbedderSettings(path=FOLDER, instruction="x"))
    assert await SharedCache(bus, other).get(["good"]) == {}


async def test_a_broker_without_streams_only_costs_the_shared_cache(nats_server):
    async with Bus(nats_server.settings, "test") as bus:
        shared = SharedCache(bus, qwen3(EmbedderSettings(path=FOLDER)))
        assert await shared.get(["never opened"]) == {}
        shared.put({"never opened": b""})
        await asyncio.gather(*shared._writes)


async def insisting(client: nats.NATS, text: str) -> EmbedReply:
    """Ask until somebody answers, as every caller of ours does."""
    while True:
        try:
            data = encode(EmbedRequest(texts=[text]))
            reply = decode(EmbedReply, (await client.request(subjects.EMBED, data, timeout=2)).data)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError, TimeoutError):
            continue
        if not reply.retry_after_ms:
            return reply
        await asyncio.sleep(reply.retry_after_ms / 1000)


async def test_killing_a_replica_loses_no_request_and_a_new_one_needs_no_restart(start, nats_server):
    """Three processes, one killed and one added under load: every request has its answer."""
    client = await nats.connect(nats_server.settings.url, token=nats_server.token)
    replicas = [start(**QWEN3, HABITUS_EMBEDDER_THREADS="1") for _ in range(3)]
    asking = [asyncio.create_task(insisting(client, f"line {chr(97 + n % 26)} {n}")) for n in range(300)]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    replicas[0].kill()
    added = await asyncio.to_thread(lambda: start(**QWEN3, HABITUS_EMBEDDER_THREADS="1"))
    replies = await asyncio.gather(*asking)
    await asyncio.gather(*(insisting(client, f"later {n}") for n in range(60)))
    async with httpx.AsyncClient(base_url=added.address) as http:
        figures = (await http.get("/metrics")).text
    assert {(reply.error, len(reply.vectors)) for reply in replies} == {(None, 256)}
    assert 'habitus_embedder_requests_total{outcome="done"}' in figures
    await client.close()
