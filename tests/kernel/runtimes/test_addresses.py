# SPDX-License-Identifier: Apache-2.0
"""Labels and addresses of real Pods, on a network of their own and on the host's."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from habitus import subjects
from habitus.cri import runtime_pb2 as cri
from habitus.cri.client import CriFault
from habitus.events import Peer, Pod
from habitus.settings import CollectorSettings
from habitus.targets import Targets
from habitus_collector.discovery.cri import CriDiscovery
from habitus_collector.discovery.docker import DockerDiscovery

pytestmark = [pytest.mark.kernel, pytest.mark.containers]

BRIDGE = "habitus-test0"
SLEEP = ["/bin/busybox", "sleep", "1000"]


@pytest.fixture
def network(containerd):
    """A bridge without a way out, described for containerd; it is removed at the end."""
    if not Path("/usr/lib/cni/bridge").exists() or shutil.which("ip") is None:
        pytest.skip("missing: /usr/lib/cni/bridge, ip; deploy/setup/bootstrap.sh tests installs them")
    folder = containerd.socket.parent
    ranges = [[{"subnet": "10.234.7.0/24"}], [{"subnet": "fd12:3456:789a::/64"}]]
    plugin = {
        "type": "bridge",
        "bridge": BRIDGE,
        "ipam": {"type": "host-local", "ranges": ranges, "dataDir": str(folder / "addresses")},
    }
    described = {"cniVersion": "1.0.0", "name": "habitus-test", "plugins": [plugin]}
    (folder / "cni" / "10-test.conflist").write_text(json.dumps(described))
    yield
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)


@pytest.fixture
async def discovery(containerd):
    source = CriDiscovery(CollectorSettings(cri_sockets=[str(containerd.socket)]))
    yield source
    await source.close()


async def run(containerd, name, command=SLEEP, namespace="shop"):
    for _ in range(100):  # containerd reads the description of a network some time after it was written
        try:
            return await containerd.run(
                name, "webapp:v1", command=command, namespace=namespace, network=cri.POD
            )
        except CriFault as fault:
            said = str(fault)
            await asyncio.sleep(0.1)
    pytest.fail(said)


def addresses_in(pid: int) -> str:
    """Return what the network namespace of a process says of itself."""
    command = ["nsenter", "-t", str(pid), "-n", "ip", "-o", "addr", "show", "scope", "global"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_a_pod_of_its_own_network_has_both_addresses_and_its_labels(containerd, network, discovery):
    pod = await run(containerd, "web-0")

    identity = await discovery.find(pod.container)

    four, six = identity.ips
    assert four.startswith("10.234.7.")
    assert six.startswith("fd12:3456:789a::")
    assert identity.labels["app"] == "web-0"
    there = addresses_in(pod.pid)
    assert f" {four}/" in there
    assert f" {six}/" in there


@pytest.fixture
async def only_the_shop(bus):
    bucket = await bus.js.create_key_value(bucket=subjects.TARGETS)
    await bucket.put("all", Targets([{"namespace": "shop"}]).write())


@pytest.mark.usefixtures("network", "only_the_shop")
async def test_a_flow_names_the_pod_at_its_other_end_also_one_that_is_not_watched(
    containerd, discovery, collect, seen
):
    collect(cri_sockets=containerd.socket, sensors="process,network")
    database = await run(containerd, "db-0", ["/bin/busybox", "nc", "-lk", "-p", "5432"], namespace="data")
    four, _ = (await discovery.find(database.container)).ips

    ask = f"while :; do /bin/busybox nc {four} 5432 </dev/null; /bin/busybox sleep 0.3; done"
    web = await run(containerd, "web-0", ["/bin/bash", "-c", ask])

    event = await seen.first(
        web.container, lambda event: event.op == "connect" and event.network.remote_port == 5432
    )
    assert event.network.remote_ip == four
    of_pod = Pod(name="db-0", namespace="data", uid=database.uid)
    assert event.network.peer == Peer(container="web", image="webapp:v1", pod=of_pod)
    assert not seen.of(database.container)


async def test_a_pod_on_the_hosts_network_has_none(containerd, discovery):
    pod = await containerd.run("host-0", "webapp:v1", command=SLEEP)

    assert (await discovery.find(pod.container)).ips == ()


async def test_a_container_of_docker_has_its_address_and_one_that_joined_it_too(docker_engine):
    source = DockerDiscovery(CollectorSettings(docker_socket=docker_engine.socket))
    with docker_engine.network("habitus-test", "10.234.8.0/24") as network:
        web = docker_engine.run("webapp:v1", SLEEP, name="web", network=network)
        beside = docker_engine.run("webapp:v1", SLEEP, name="beside", network=f"container:{web}")
        host = docker_engine.run("webapp:v1", SLEEP, name="host")

        (address,) = (await source.find(web)).ips
        assert f" {address}/" in addresses_in(docker_engine.pid(web))
        assert (await source.find(beside)).ips == (address,)
        assert (await source.find(host)).ips == ()
