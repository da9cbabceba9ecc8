# SPDX-License-Identifier: Apache-2.0
"""An async client of CRI v1 over a Unix socket. Messages are those of runtime.proto."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from habitus.cri import runtime_pb2 as cri

_RUNTIME: Final = "/runtime.v1.RuntimeService/"
_IMAGE: Final = "/runtime.v1.ImageService/"
_OPTIONS: Final = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", 64 << 20)]
Reply = TypeVar("Reply", bound=Message)


class CriFault(RuntimeError):
    """The runtime did not do what was asked; the text carries its own words, in one line."""


class CriUnknown(CriFault):
    """The runtime knows no container or sandbox of this id."""


class CriUnsupported(CriFault):
    """The runtime is too old for this call, or has it switched off."""


_KINDS: Final = {grpc.StatusCode.NOT_FOUND: CriUnknown, grpc.StatusCode.UNIMPLEMENTED: CriUnsupported}


class CriClient:
    """One connection: `async with CriClient("/run/containerd/containerd.sock") as runtime`."""

    def __init__(self, socket: str, *, timeout_s: float = 20) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._channel = grpc.aio.insecure_channel(f"unix://{socket}", options=_OPTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in flight end."""
        await self._channel.close()

    async def version(self) -> cri.VersionResponse:
        """Return the runtime's name and version."""
        return await self._call(_RUNTIME + "Version", cri.VersionRequest(), cri.VersionResponse)

    async def list_containers(self, *, running: bool = True, container_id: str = "") -> list[cri.Container]:
        """Return the containers, or the one of this id; only running ones unless told otherwise."""
        state = cri.ContainerStateValue(state=cri.CONTAINER_RUNNING) if running else None
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(id=container_id, state=state))
        reply = await self._call(_RUNTIME + "ListContainers", request, cri.ListContainersResponse)
        return list(reply.containers)

    async def list_sandboxes(self, sandbox_id: str = "") -> list[cri.PodSandbox]:
        """Return the Pod sandboxes, or the one of this id."""
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(id=sandbox_id))
        reply = await self._call(_RUNTIME + "ListPodSandbox", request, cri.ListPodSandboxResponse)
        return list(reply.items)

    async def sandbox_status(self, sandbox_id: str) -> cri.PodSandboxStatus:
        """Return one sandbox with its Pod's labels and addresses."""
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        reply = await self._call(_RUNTIME + "PodSandboxStatus", request, cri.PodSandboxStatusResponse)
        return reply.status

    async def container_status(
        self, container_id: str, *, verbose: bool = False
    ) -> cri.ContainerStatusResponse:
        """Return one container's status; `verbose` adds the runtime's own JSON in `info`."""
        request = cri.ContainerStatusRequest(container_id=container_id, verbose=verbose)
        return await self._call(_RUNTIME + "ContainerStatus", request, cri.ContainerStatusResponse)

    async def list_images(self) -> list[cri.Image]:
        """Return the images with their tags and digests."""
        reply = await self._call(_IMAGE + "ListImages", cri.ListImagesRequest(), cri.ListImagesResponse)
        return list(reply.images)

    async def container_events(self) -> AsyncIterator[cri.ContainerEventResponse]:
        """Yield what happens to containers: those that exist first, then as it happens.

        Raises:
            CriUnsupported: the runtime has no such stream (containerd before 1.7).
            CriFault: the stream broke.
        """
        stream = self._channel.unary_stream(
            _RUNTIME + "GetContainerEvents",
            request_serializer=cri.GetEventsRequest.SerializeToString,
            response_deserializer=cri.ContainerEventResponse.FromString,
        )
        try:
            async for event in stream(cri.GetEventsRequest()):
                yield event
        except grpc.aio.AioRpcError as error:
            raise self._fault("GetContainerEvents", error) from None

    async def run_pod(self, config: cri.PodSandboxConfig) -> str:
        """Create and start a Pod sandbox; return its id."""
        request = cri.RunPodSandboxRequest(config=config)
        reply = await self._call(_RUNTIME + "RunPodSandbox", request, cri.RunPodSandboxResponse)
        return reply.pod_sandbox_id

    async def start_container(
        self, sandbox: str, config: cri.ContainerConfig, pod: cri.PodSandboxConfig
    ) -> str:
        """Create a container in a sandbox and start it; return its id."""
        request = cri.CreateContainerRequest(pod_sandbox_id=sandbox, config=config, sandbox_config=pod)
        created = await self._call(_RUNTIME + "CreateContainer", request, cri.CreateContainerResponse)
        await self._call(
            _RUNTIME + "StartContainer", cri.ContainerId(container_id=created.container_id), cri.Empty
        )
        return created.container_id

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: int = 10
    ) -> cri.ExecSyncResponse:
        """Run a command in a container, as `kubectl exec` does, and return its output."""
        request = cri.ExecSyncRequest(container_id=container_id, cmd=command, timeout=timeout_s)
        return await self._call(_RUNTIME + "ExecSync", request, cri.ExecSyncResponse)

    async def remove_pod(self, sandbox: str) -> None:
        """Stop and remove a Pod sandbox with its containers."""
        await self._call(_RUNTIME + "StopPodSandbox", cri.PodSandboxId(pod_sandbox_id=sandbox), cri.Empty)
        await self._call(_RUNTIME + "RemovePodSandbox", cri.PodSandboxId(pod_sandbox_id=sandbox), cri.Empty)

    async def _call(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        call: Any = self._channel.unary_unary(
            method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        try:
            answer: Reply = await call(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._fault(method.rsplit("/", 1)[1], error) from None
        return answer

    def _fault(self, method: str, error: grpc.aio.AioRpcError) -> CriFault:
        kind = _KINDS.get(error.code(), CriFault)
        return kind(f"{method} at {self._socket}: {error.details() or error.code().name}")
