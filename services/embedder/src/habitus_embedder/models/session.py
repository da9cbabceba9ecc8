# SPDX-License-Identifier: Apache-2.0
"""An ONNX Runtime session on the provider that a setting names, or one clear line why not."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from habitus.settings import EmbedderSettings
from habitus_embedder.models.faults import ModelFault


class _Provider(NamedTuple):
    names: tuple[str, ...]
    install: str


# In the order in which ONNX Runtime tries them for each node of the graph.
_PROVIDERS: Final[dict[str, _Provider]] = {
    "cpu": _Provider(("CPUExecutionProvider",), "onnxruntime (habitus-embedder[cpu])"),
    "cuda": _Provider(
        ("CUDAExecutionProvider", "CPUExecutionProvider"), "onnxruntime-gpu (habitus-embedder[gpu])"
    ),
    "tensorrt": _Provider(
        ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
        "onnxruntime-gpu (habitus-embedder[gpu]) and TensorRT",
    ),
    "openvino": _Provider(("OpenVINOExecutionProvider", "CPUExecutionProvider"), "onnxruntime-openvino"),
    "rocm": _Provider(("MIGraphXExecutionProvider", "CPUExecutionProvider"), "onnxruntime-migraphx"),
}
_OPTIMISED: Final = "TensorrtExecutionProvider"


def open_session(graph: Path, settings: EmbedderSettings) -> Any:
    """Return an `onnxruntime.InferenceSession` on `graph`.

    Raises:
        ModelFault: ONNX Runtime is not installed, the provider is not in it or does not come up,
            or the file is no graph.
    """
    runtime = _runtime()
    providers = chosen(settings, runtime.get_available_providers())
    if settings.provider in {"cuda", "tensorrt"} and hasattr(runtime, "preload_dlls"):
        # The CUDA libraries of NVIDIA's wheels are on no loader's path.
        runtime.preload_dlls()
    try:
        session = runtime.InferenceSession(str(graph), _options(runtime, settings), providers=providers)
    except Exception as error:  # noqa: BLE001  # the runtime has a dozen kinds without a common base
        raise ModelFault(f"{graph}: ONNX Runtime cannot load it: {error}") from None
    # Otherwise a missing CUDA library would end in a silent, slow fall-back to the CPU.
    session.disable_fallback()
    wanted = _PROVIDERS[settings.provider].names[0]
    if wanted not in session.get_providers():
        raise ModelFault(
            f"embedder.provider: {settings.provider} did not come up "
            f"(ONNX Runtime fell back to {', '.join(session.get_providers())}); "
            "are its driver and libraries here?"
        )
    return session


def chosen(settings: EmbedderSettings, available: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the providers to ask for with their options.

    Raises:
        ModelFault: this build of ONNX Runtime does not have the one that is set.
    """
    provider = _PROVIDERS[settings.provider]
    if provider.names[0] not in available:
        raise ModelFault(
            f"embedder.provider: {settings.provider} is not in this ONNX Runtime "
            f"(it has {', '.join(available)}); install {provider.install}"
        )
    return [(name, _provider_options(name, settings)) for name in provider.names if name in available]


def _provider_options(name: str, settings: EmbedderSettings) -> dict[str, Any]:
    if name in {"CUDAExecutionProvider", _OPTIMISED, "MIGraphXExecutionProvider"}:
        return {"device_id": str(settings.device)}
    if name == "OpenVINOExecutionProvider":
        return {"device_type": "CPU", "num_of_threads": str(threads(settings))}
    return {}


def _options(runtime: Any, settings: EmbedderSettings) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads(settings)
    options.inter_op_num_threads = 1
    # Batches differ in shape: a plan of memory for each shape would only be kept.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if settings.spin else "0")
    options.log_severity_level = 3
    return options


def threads(settings: EmbedderSettings) -> int:
    """Return how many threads a run may use: the setting, else the processors that we may use."""
    return settings.threads or len(os.sched_getaffinity(0))


def _runtime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError:
        raise ModelFault(
            "this model needs ONNX Runtime: install 'habitus-embedder[cpu]', or 'habitus-embedder[gpu]'"
        ) from None
