# SPDX-License-Identifier: Apache-2.0
"""Private Docker and Podman daemons: own roots and sockets; nothing of the host's is touched."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import docker.types
import pytest
import requests

from habitus_testing import until

_PODMAN_CONF = """\
[containers]
oom_score_adj = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
image_copy_tmp_dir = "{folder}"
lock_type = "file"
runtime = "runc"
static_dir = "{folder}/static"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
[network]
network_config_dir = "{folder}/networks"
"""
_PODMAN_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


class Engine:
    """A daemon that speaks the Docker API at a socket of its own."""

    def __init__(self, name: str, folder: Path, command: list[str], **environment: str) -> None:
        self.name = name
        self.socket = folder / f"{name}.sock"
        self._log = folder / f"{name}.log"
        self._command = command
        self._environment = os.environ | environment
        self._daemon: subprocess.Popen[bytes] | None = None
        self._client: docker.APIClient | None = None
        self._made: list[str] = []

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._daemon = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        until(self._answers, self._log.read_text)

    def load(self, archive: Path) -> None:
        """Import an image archive."""
        with archive.open("rb") as file:
            for line in self._client.load_image(file):
                assert "error" not in line, line

    def image_id(self, reference: str) -> str:
        return self._client.inspect_image(reference)["Id"]

    def run(
        self,
        image: str,
        command: list[str],
        *,
        name: str,
        labels: dict[str, str] | None = None,
        remove: bool = False,
        network: str = "host",
    ) -> str:
        """Start a container and return its id; `remove` removes it when it ends."""
        host = self._client.create_host_config(network_mode=network, auto_remove=remove)
        # The first process of a container ignores SIGTERM: who stops it need not wait for that.
        container = self._client.create_container(
            image, command, name=name, labels=labels, host_config=host, stop_signal="SIGKILL"
        )["Id"]
        self._made.append(container)
        self._client.start(container)
        return container

    @contextlib.contextmanager
    def network(self, name: str, subnet: str) -> Iterator[str]:
        """Give a network without a way out."""
        pool = docker.types.IPAMPool(subnet=subnet)
        ipam = docker.types.IPAMConfig(pool_configs=[pool])
        network = self._client.create_network(name, driver="bridge", ipam=ipam, internal=True)["Id"]
        try:
            yield name
        finally:
            for container in self._made:
                with contextlib.suppress(docker.errors.DockerException):
                    self._client.remove_container(container, force=True)
            self._client.remove_network(network)

    def pid(self, container: str) -> int:
        """Return the container's first process as the node sees it."""
        return self._client.inspect_container(container)["State"]["Pid"]

    def stop(self) -> None:
        """Remove every container and end the daemon: it is first asked, then killed."""
        for container in reversed(self._made):
            with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                self._client.remove_container(container, force=True)
        if self._daemon is not None:
            self._daemon.terminate()
        self.forget()

    def forget(self) -> None:
        """Let go of the daemon, which was told to end: wait for that, and at last kill it."""
        if self._client is not None:
            self._client.close()
        if self._daemon is not None:
            try:
                self._daemon.wait(20)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()

    def _answers(self) -> bool:
        assert self._daemon.poll() is None, self._log.read_text()
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)):
                return False
        self._client = docker.APIClient(f"unix://{self.socket}", version="auto")
        return self._client.ping()


def dockerd(folder: Path, containerd: Path) -> Engine:
    """Docker on a containerd of ours: it would else use the system's where that runs."""
    command = ["dockerd", "--data-root", f"{folder}/docker", "--exec-root", f"{folder}/docker-run"]
    command += ["--host", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/docker.pid"]
    command += ["--config-file", f"{folder}/docker.json", "--containerd", str(containerd)]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    (folder / "docker.json").write_text("{}")
    return Engine("docker", folder, command)


def podman(folder: Path) -> Engine:
    """Podman by runc: crun refuses a hybrid of cgroups v1 and v2."""
    configuration, storage = folder / "containers.conf", folder / "storage.conf"
    configuration.write_text(_PODMAN_CONF.format(folder=folder))
    storage.write_text(_PODMAN_STORAGE.format(folder=folder))
    command = ["podman", "system", "service", "--time", "0", f"unix://{folder}/podman.sock"]
    return Engine(
        "podman", folder, command, CONTAINERS_CONF=str(configuration), CONTAINERS_STORAGE_CONF=str(storage)
    )


def need(*programs: str) -> None:
    """Skip the test, saying why, where real containers can't be run."""
    if os.geteuid() != 0:
        pytest.skip("needs root to run containers")
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}; deploy/setup/bootstrap.sh tests installs it")
