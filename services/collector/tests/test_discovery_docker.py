# SPDX-License-Identifier: Apache-2.0
"""Docker discovery against a server that answers as the engine does."""

import asyncio
import json

import pytest

from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault
from habitus_collector.discovery.docker import DockerDiscovery

ID, OTHER = "a1" * 32, "b2" * 32
FAULT = b'{"message": "is being removed"}'
GONE = b'{"cause":"no such container","message":"no container with ID a1a1 found in database","response":500}'
IMAGE_ID, DIGEST = "sha256:" + "c" * 64, "sha256:" + "d" * 64


def container(container_id=ID, **changed):
    return {
        "Id": container_id,
        "Name": "/web",
        "Image": IMAGE_ID,
        "Config": {"Image": "webapp:v1", "Labels": {"tier": "front"}},
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {
            "IPAddress": "172.17.0.2",
            "Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"}, "none": None},
        },
    } | changed


class Engine:
    """Documents by path; `events` are the lines of the stream."""

    def __init__(self):
        image = {"RepoTags": ["webapp:v1"], "RepoDigests": [f"webapp@{DIGEST}"]}
        self.documents = {
            f"/containers/{ID}/json": container(),
            f"/images/{IMAGE_ID}/json": image,
            "/images/webapp:v1/json": image,
        }
        self.events = []

    async def serve(self, reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        if path.startswith("/events?"):
            writer.write(
                b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(json.dumps(e).encode() + b"\n" for e in self.events)
            )
            await writer.drain()
            await reader.read()
        elif isinstance(self.documents.get(path), bytes):
            writer.write(b"HTTP/1.0 500 Internal Server Error\r\n\r\n" + self.documents[path])
        elif path in self.documents:
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(self.documents[path]).encode())
        else:
            writer.write(b'HTTP/1.0 404 Not Found\r\n\r\n{"message": "none"}')
        writer.close()


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
async def discovery(engine, tmp_path):
    path = tmp_path / "docker.sock"
    server = await asyncio.start_unix_server(engine.serve, path)
    yield DockerDiscovery(CollectorSettings(docker_socket=path))
    server.close()


async def test_a_container_has_name_image_digest_labels_and_addresses(discovery):
    identity = await discovery.find(ID)

    named = identity.container
    assert (named.name, named.image, named.image_digest) == ("web", "webapp:v1", DIGEST)
    assert identity.labels == {"tier": "front"}
    assert identity.ips == ("172.17.0.2", "fd00::2")


async def test_an_unknown_id_is_nobody(discovery):
    assert await discovery.find(OTHER) is None


async def test_one_removed_while_podman_looks_at_it_is_nobody(engine, discovery):
    engine.documents[f"/containers/{ID}/json"] = GONE

    assert await discovery.find(ID) is None


async def test_a_container_in_the_hosts_network_has_no_address_of_its_own(engine, discovery):
    engine.documents[f"/containers/{ID}/json"] = container(HostConfig={"NetworkMode": "host"})

    assert (await discovery.find(ID)).ips == ()


async def test_one_that_joined_the_network_of_another_has_its_addresses(engine, discovery):
    engine.documents[f"/containers/{OTHER}/json"] = container(
        OTHER, HostConfig={"NetworkMode": f"container:{ID}"}, NetworkSettings={"IPAddress": ""}
    )

    assert (await discovery.find(OTHER)).ips == ("172.17.0.2", "fd00::2")


async def test_an_image_that_is_gone_still_has_the_name_that_the_container_asked_for(engine, discovery):
    del engine.documents[f"/images/{IMAGE_ID}/json"]

    named = (await discovery.find(ID)).container
    assert (named.image, named.image_digest) == ("webapp:v1", None)


@pytest.mark.parametrize("shape", [[], {"Id": ID}, {"Image": 5}, container(Config={"Labels": 7}), "x"])
async def test_a_document_of_another_shape_is_a_fault_of_one_line(engine, discovery, shape):
    engine.documents[f"/containers/{ID}/json"] = shape

    with pytest.raises(DiscoveryFault, match="another shape") as fault:
        await discovery.find(ID)

    assert "\n" not in str(fault.value)


async def test_the_stream_tells_of_a_container_that_is_there(engine, discovery, followed):
    engine.events = ["no event", {"Actor": None}, {"Actor": {"ID": ID, "Attributes": {"image": "webapp:v1"}}}]

    (identity,) = await followed(discovery, 1)

    assert identity == await discovery.find(ID)


@pytest.mark.parametrize("place", [f"/containers/{OTHER}/json", "/images/webapp:v1/json"])
async def test_a_fault_while_it_is_removed_leaves_what_the_event_says(engine, discovery, place, followed):
    engine.documents[place] = FAULT
    engine.events = [{"Actor": {"ID": OTHER, "Attributes": {"image": "webapp:v1", "name": "short"}}}]

    (identity,) = await followed(discovery, 1)

    assert (identity.container.name, identity.container.image) == ("short", "webapp:v1")


async def test_a_container_that_is_gone_when_asked_for_is_named_by_its_event(engine, discovery, followed):
    attributes = {
        "image": "webapp:v1",
        "name": "short",
        "tier": "batch",
        "io.kubernetes.pod.name": "job-0",
        "io.kubernetes.pod.namespace": "shop",
    }
    engine.events = [{"Actor": {"ID": OTHER, "Attributes": attributes}}]

    (identity,) = await followed(discovery, 1)

    named = identity.container
    assert (named.id, named.name, named.image, named.image_digest) == (OTHER, "short", "webapp:v1", DIGEST)
    assert (named.pod.name, named.pod.namespace) == ("job-0", "shop")
    assert identity.labels["tier"] == "batch"


async def test_a_socket_that_nobody_serves_is_a_fault_that_names_it(tmp_path):
    source = DockerDiscovery(CollectorSettings(docker_socket=tmp_path / "none.sock"))

    with pytest.raises(DiscoveryFault, match=r"docker at /.*none\.sock: events: No such file"):
        await source.follow(print)
