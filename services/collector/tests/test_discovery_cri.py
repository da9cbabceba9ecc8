# SPDX-License-Identifier: Apache-2.0
"""CRI discovery against a server that speaks the interface over a real socket."""

import asyncio
import socket as sockets

import grpc
import grpc.aio
import pytest

from habitus.cri import runtime_pb2 as cri
from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, following
from habitus_collector.discovery.cri import CriDiscovery

ID, SANDBOX = "a1" * 32, "b2" * 32
IMAGE_ID = "sha256:" + "c" * 64
DIGEST = "sha256:" + "d" * 64


def method(request, reply):
    async def answer(_request, _context):
        return reply()

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=type(reply()).SerializeToString,
    )


class Runtime:
    """What the server lists; a test may change it."""

    def __init__(self):
        labels = {"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}
        pod = cri.PodSandbox(id=SANDBOX, metadata=cri.PodSandboxMetadata(name="web-0", namespace="shop"))
        self.sandboxes = [pod]
        self.containers = [
            cri.Container(
                id=ID,
                metadata=cri.ContainerMetadata(name="web"),
                image=cri.ImageSpec(image=IMAGE_ID),
                image_ref=IMAGE_ID,
                labels=labels,
            )
        ]
        self.images = [image_of(IMAGE_ID, "webapp:v1", DIGEST)]
        self.status = cri.PodSandboxStatus(
            id=SANDBOX,
            labels={"app": "web"},
            network=cri.PodSandboxNetworkStatus(ip="10.88.0.7", additional_ips=[cri.PodIP(ip="fd00::7")]),
        )
        self.events = []

    async def stream(self, _request, _context):
        for event in self.events:
            yield event

    def happens(self, container_id, *statuses, kind=cri.CONTAINER_CREATED_EVENT):
        event = cri.ContainerEventResponse(
            container_id=container_id,
            container_event_type=kind,
            pod_sandbox_status=self.status,
            containers_statuses=statuses,
        )
        self.events.append(event)

    def add(self, container_id, asked, image_id):
        spec = cri.ImageSpec(image=asked)
        self.containers.append(cri.Container(id=container_id, image=spec, image_ref=image_id))

    def handlers(self):
        runtime = {
            "ListContainers": method(
                cri.ListContainersRequest, lambda: cri.ListContainersResponse(containers=self.containers)
            ),
            "PodSandboxStatus": method(
                cri.PodSandboxStatusRequest, lambda: cri.PodSandboxStatusResponse(status=self.status)
            ),
            "GetContainerEvents": grpc.unary_stream_rpc_method_handler(
                self.stream,
                request_deserializer=cri.GetEventsRequest.FromString,
                response_serializer=cri.ContainerEventResponse.SerializeToString,
            ),
            "ListPodSandbox": method(
                cri.ListPodSandboxRequest, lambda: cri.ListPodSandboxResponse(items=self.sandboxes)
            ),
        }
        images = {
            "ListImages": method(cri.ListImagesRequest, lambda: cri.ListImagesResponse(images=self.images))
        }
        return (
            grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", runtime),
            grpc.method_handlers_generic_handler("runtime.v1.ImageService", images),
        )


def image_of(image_id, name, digest):
    repository = name.rpartition(":")[0]
    return cri.Image(
        id=image_id,
        repo_tags=[f"docker.io/library/{name}"],
        repo_digests=[f"docker.io/library/{repository}@{digest}"],
    )


@pytest.fixture
def runtime():
    return Runtime()


@pytest.fixture
async def socket(runtime, tmp_path):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(runtime.handlers())
    path = tmp_path / "cri.sock"
    server.add_insecure_port(f"unix://{path}")
    await server.start()
    yield path
    await server.stop(None)


@pytest.fixture
async def discovery(socket):
    source = CriDiscovery(CollectorSettings(cri_sockets=["/nowhere/cri.sock", str(socket)]))
    yield source
    await source.close()


async def test_an_image_that_a_kubelet_wrote_as_an_id_gets_its_name_and_digest(discovery):
    identity = await discovery.find(ID)

    container = identity.container
    assert (container.image, container.image_digest, container.name) == ("webapp:v1", DIGEST, "web")
    assert container.pod.name == "web-0"
    assert not identity.sandbox


async def test_a_tag_that_moved_gives_each_container_the_digest_of_its_own_image(runtime, discovery):
    tag = "docker.io/library/webapp:v1"
    runtime.add("e" * 64, tag, IMAGE_ID)
    assert (await discovery.find("e" * 64)).container.image_digest == DIGEST

    new_id, new = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    untagged = cri.Image(id=IMAGE_ID, repo_digests=[f"docker.io/library/webapp@{DIGEST}"])
    runtime.images = [image_of(new_id, "webapp:v1", new), untagged]
    runtime.add("f" * 64, tag, new_id)

    assert (await discovery.find("f" * 64)).container.image_digest == new
    assert (await discovery.find("e" * 64)).container.image_digest == DIGEST


async def test_a_second_name_of_a_known_image_has_its_digest(runtime, discovery):
    await discovery.find(ID)
    runtime.images = [image_of(IMAGE_ID, "webapp:v1", DIGEST)]
    runtime.images[0].repo_digests.append(f"registry.example:5000/webapp@{DIGEST}")
    runtime.add("e" * 64, "registry.example:5000/webapp:v2", IMAGE_ID)

    assert (await discovery.find("e" * 64)).container.image_digest == DIGEST


async def test_a_sandbox_is_told_from_a_container(discovery):
    assert (await discovery.find(SANDBOX)).sandbox


async def test_an_unknown_id_is_nobody(discovery):
    assert await discovery.find("f" * 64) is None


async def test_a_socket_that_nobody_serves_is_a_fault_of_one_line(tmp_path):
    path = tmp_path / "dead.sock"
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(path))
    source = CriDiscovery(CollectorSettings(cri_sockets=[str(path)]))

    with pytest.raises(DiscoveryFault) as fault:
        await source.find(ID)

    assert "\n" not in str(fault.value)
    await source.close()


def test_without_a_socket_the_source_is_absent():
    assert not CriDiscovery(CollectorSettings(cri_sockets=["/nowhere/cri.sock"])).present()


async def test_a_container_has_its_pods_labels_and_addresses(discovery):
    identity = await discovery.find(ID)

    assert identity.labels == {
        "app": "web",
        "io.kubernetes.pod.name": "web-0",
        "io.kubernetes.pod.namespace": "shop",
    }
    assert identity.ips == ("10.88.0.7", "fd00::7")


async def test_a_pod_in_the_nodes_network_has_no_address_of_its_own(runtime, discovery):
    runtime.status.linux.namespaces.options.network = cri.NODE

    assert (await discovery.find(ID)).ips == ()


async def test_the_stream_tells_of_containers_and_sandboxes(runtime, discovery, followed):
    runtime.happens(SANDBOX)
    runtime.happens(ID, kind=cri.CONTAINER_DELETED_EVENT)
    runtime.happens(ID, kind=cri.CONTAINER_STARTED_EVENT)

    pause, web = await followed(discovery, 2)

    assert pause.sandbox
    assert (web.container.id, web.container.image, web.ips) == (ID, "webapp:v1", ("10.88.0.7", "fd00::7"))


async def test_a_container_that_is_gone_when_asked_for_is_named_by_its_event(runtime, discovery, followed):
    gone = cri.ContainerStatus(
        id="e" * 64,
        metadata=cri.ContainerMetadata(name="job"),
        image=cri.ImageSpec(image=IMAGE_ID),
        image_ref=IMAGE_ID,
        labels={"io.kubernetes.pod.name": "job-0"},
    )
    runtime.happens("e" * 64, gone)

    (job,) = await followed(discovery, 1)

    assert (job.container.name, job.container.image, job.container.image_digest) == (
        "job",
        "webapp:v1",
        DIGEST,
    )
    assert job.container.pod.name == "job-0"


async def test_a_stream_that_ends_is_opened_again(runtime, discovery, monkeypatch, followed):
    monkeypatch.setattr(following, "FIRST_S", 0.01)
    runtime.happens(ID)

    assert len(await followed(discovery, 2)) == 2


async def test_events_can_be_left_to_the_kubelet(runtime, socket):
    runtime.happens(ID)
    source = CriDiscovery(CollectorSettings(cri_sockets=[str(socket)], cri_events=False))
    told = []

    await asyncio.wait_for(source.follow(told.append), 10)

    assert told == []
    assert (await source.find(ID)).container.name == "web"
    await source.close()
