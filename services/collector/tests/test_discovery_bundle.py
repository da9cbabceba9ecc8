# SPDX-License-Identifier: Apache-2.0
"""What runtimes leave on disk names a container; what they do not write names nobody and hurts nothing."""

import json

import pytest

from habitus.events import Container, Pod
from habitus.settings import CollectorSettings
from habitus_collector.discovery import DiscoveryFault, bundle
from habitus_collector.discovery.bundle import BundleDiscovery

ID = "a1" * 32
UID = "8a40e7c4-f30c-4509-b18b-2ac06b6d622a"
CONTAINERD = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"
DOCKER = f"var/lib/docker/containers/{ID}/config.v2.json"
STORAGE = "var/lib/containers/storage/overlay-containers"
CRI = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.image-name": "docker.io/library/webapp:v1",
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": UID,
}
WEB = Container(id=ID, name="web", image="webapp:v1", pod=Pod(name="web-0", namespace="shop", uid=UID))


@pytest.fixture
def discovery(tmp_path):
    return BundleDiscovery(CollectorSettings(host_root=tmp_path))


@pytest.fixture
def write(tmp_path):
    def place(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    return place


async def test_containerds_bundle_names_the_container_and_its_pod(discovery, write):
    write(CONTAINERD, {"annotations": CRI})

    identity = await discovery.find(ID)

    assert identity.container == WEB
    assert not identity.sandbox


async def test_a_sandbox_is_told_from_a_container(discovery, write):
    write(CONTAINERD, {"annotations": {**CRI, "io.kubernetes.cri.container-type": "sandbox"}})

    assert (await discovery.find(ID)).sandbox


async def test_cri_os_bundle_has_the_pods_labels_too(discovery, write):
    notes = {
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.ImageName": "docker.io/library/webapp:v1",
        "io.kubernetes.cri-o.Labels": '{"app": "web"}',
        "io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "web-0",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": UID,
    }
    write(f"{STORAGE}/{ID}/userdata/config.json", {"annotations": notes})

    identity = await discovery.find(ID)

    assert (identity.container, identity.labels) == (WEB, {"app": "web"})


async def test_podmans_storage_names_image_and_container(discovery, write):
    said = json.dumps({"image-name": "localhost/webapp:v1", "name": "short"})
    write(f"{STORAGE}/containers.json", [{"id": "b2" * 32}, {"id": ID, "names": ["x"], "metadata": said}])
    write(f"{STORAGE}/{ID}/userdata/config.json", {"annotations": {}})

    assert (await discovery.find(ID)).container == Container(id=ID, name="short", image="localhost/webapp:v1")


async def test_dockers_own_file_names_image_container_and_labels(discovery, write):
    labels = {"tier": "front", "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}
    write(DOCKER, {"Name": "/web", "Config": {"Image": "webapp:v1", "Labels": labels}})

    identity = await discovery.find(ID)

    assert identity.container == Container(
        id=ID, name="web", image="webapp:v1", pod=Pod(name="web-0", namespace="shop")
    )
    assert identity.labels == labels


async def test_an_image_by_its_id_alone_names_nobody(discovery, write):
    write(DOCKER, {"Name": "/web", "Config": {"Image": "sha256:" + "c" * 64}})

    assert await discovery.find(ID) is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"7",
        b"[]",
        b'{"annotations": 7}',
        b'{"annotations": ["x"]}',
        b" " * 2000,
    ],
)
async def test_a_file_of_another_shape_is_a_fault_of_one_line_that_names_it(
    discovery, write, monkeypatch, content
):
    monkeypatch.setattr(bundle, "FILE_LIMIT", 200_000 if content[:2] == b"[[" else 1000)
    write(CONTAINERD, content)

    with pytest.raises(DiscoveryFault, match=rf"bundle: .*k8s\.io, container {ID[:12]}: ") as fault:
        await discovery.find(ID)

    assert "\n" not in str(fault.value)


async def test_a_bad_file_of_one_runtime_hides_no_other(discovery, write):
    write(f"{STORAGE}/containers.json", b"{")
    write(DOCKER, {"Name": "/web", "Config": {"Image": "webapp:v1"}})

    assert (await discovery.find(ID)).container.name == "web"


async def test_what_is_no_id_opens_no_file(discovery, write):
    write(f"{CONTAINERD.rpartition('/')[0]}/../x/config.json", {"annotations": CRI})

    assert await discovery.find("../x") is None


async def test_an_unknown_id_is_nobody(discovery, write):
    write(CONTAINERD, {"annotations": CRI})
    write(DOCKER, {"Name": "/web", "Config": {}})

    assert await discovery.find("b2" * 32) is None


def test_without_any_runtimes_folder_the_source_is_absent(discovery, write):
    assert not discovery.present()

    write(DOCKER, {})
    assert discovery.present()
