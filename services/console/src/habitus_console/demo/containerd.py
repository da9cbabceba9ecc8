# SPDX-License-Identifier: Apache-2.0
"""A private containerd with CRI: its own root, state and socket; nothing of the host's is touched."""

import asyncio
import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from habitus.cri import runtime_pb2 as cri
from habitus.cri.client import CriClient, CriFault
from habitus_console.children import Child, start
from habitus_console.demo import own_pods

_CONFIG: Final = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # A machine without CAP_SYS_RESOURCE may not lower oom_score_adj; the sandbox asks for it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""
_START_TIMEOUT_S: Final = 30


class ContainerdFault(RuntimeError):
    """The private containerd cannot run; the text says why, in one line."""


@dataclass(frozen=True)
class Pod:
    """A running Pod with its one container; `pid` is the container's first process on the node."""

    name: str
    namespace: str
    uid: str
    sandbox: str
    container: str
    cgroup: str
    pid: int

    @property
    def root(self) -> Path:
        """The container's root folder as the node sees it."""
        return Path(f"/proc/{self.pid}/root")


class Containerd:
    """`async with Containerd(folder) as runtime` starts it, and at the end removes every Pod."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.socket = folder / "containerd.sock"
        self._pods: list[Pod] = []
        self._parents: list[Path] = []
        self._daemon: Child | None = None
        self.cri: CriClient = CriClient(str(self.socket))

    async def __aenter__(self) -> Self:
        for program in ("containerd", "ctr", "runc"):
            if shutil.which(program) is None:
                raise ContainerdFault(f"{program} is missing: apt-get install containerd runc")
        own_pods.clear_leftovers()
        self._parents = _absent_parents()
        config = self._folder / "containerd.toml"
        config.write_text(_CONFIG.format(folder=self._folder))
        (self._folder / "cni").mkdir()
        command = ["containerd", "--config", str(config)]
        self._daemon = await start("containerd", command, self._folder / "containerd.log")
        try:
            await asyncio.wait_for(self._answering(self._daemon), _START_TIMEOUT_S)
        except TimeoutError:
            await self._daemon.stop()
            raise ContainerdFault(f"containerd does not answer: {self._daemon.last_words()}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pod in reversed(self._pods):
            with contextlib.suppress(CriFault):
                await self.cri.remove_pod(pod.sandbox)
        await self.cri.close()
        if self._daemon is not None:
            await self._daemon.stop()
        made = (root / pod.cgroup.lstrip("/") for pod in self._pods for root in own_pods.hierarchies())
        own_pods.remove([*made, *self._parents], patience_s=0)

    async def load(self, archive: Path) -> None:
        """Import an image archive into the namespace that CRI uses."""
        arguments = ("-a", str(self.socket), "-n", "k8s.io", "images", "import", str(archive))
        ctr = await asyncio.create_subprocess_exec(
            "ctr", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await ctr.communicate()
        if ctr.returncode:
            raise ContainerdFault(f"image {archive.name}: {errors.decode(errors='replace').strip()}")

    async def run(
        self,
        name: str,
        image: str,
        *,
        namespace: str = "shop",
        command: list[str] | None = None,
        network: cri.NamespaceMode = cri.NODE,
    ) -> Pod:
        """Start a Pod with one container; labels are those of a kubelet.

        It is on the host's network, or with `POD` on one that a file in the folder `cni` describes.
        """
        uid = own_pods.pod_uid()
        cgroup = f"/{own_pods.cgroup_of(uid)}"
        config = self._pod_config(name, namespace, uid, cgroup, network)
        sandbox = await self.cri.run_pod(config)
        self._pods.append(Pod(name, namespace, uid, sandbox, "", cgroup, 0))
        labels = dict(config.labels) | {"io.kubernetes.container.name": "web"}
        container = await self.cri.start_container(
            sandbox,
            cri.ContainerConfig(
                metadata=cri.ContainerMetadata(name="web"),
                image=cri.ImageSpec(image=image),
                command=command,
                labels=labels,
                log_path="web.log",
                linux=cri.LinuxContainerConfig(
                    security_context=cri.ContainerSecurityContext(namespace_options=_namespaces(network))
                ),
            ),
            config,
        )
        status = await self.cri.container_status(container, verbose=True)
        pid = int(json.loads(status.info["info"])["pid"])
        self._pods[-1] = Pod(name, namespace, uid, sandbox, container, cgroup, pid)
        return self._pods[-1]

    def _pod_config(
        self, name: str, namespace: str, uid: str, cgroup: str, network: cri.NamespaceMode
    ) -> cri.PodSandboxConfig:
        logs = self._folder / "logs" / uid
        logs.mkdir(parents=True)
        labels = {
            "app": name,
            "io.kubernetes.pod.name": name,
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.uid": uid,
        }
        return cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=uid, namespace=namespace),
            log_directory=str(logs),
            labels=labels,
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=cgroup,
                security_context=cri.SandboxSecurityContext(namespace_options=_namespaces(network)),
            ),
        )

    async def _answering(self, daemon: Child) -> None:
        while daemon.running:
            try:
                await self.cri.version()
            except CriFault:
                await asyncio.sleep(0.05)
            else:
                return
        raise ContainerdFault(f"containerd ended at once: {daemon.last_words()}")


def _namespaces(network: cri.NamespaceMode) -> cri.NamespaceOption:
    return cri.NamespaceOption(network=network, pid=cri.CONTAINER, ipc=cri.POD)


def _absent_parents() -> list[Path]:
    """Return the folders above a Pod's cgroup that runc will make and leave; deepest first."""
    parents = [root / part for root in own_pods.hierarchies() for part in ("kubepods/besteffort", "kubepods")]
    return [folder for folder in parents if not folder.exists()]
