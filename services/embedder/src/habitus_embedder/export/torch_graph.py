# SPDX-License-Identifier: Apache-2.0
"""PyTorch weights to an ONNX graph, through `optimum`; and what the PyTorch model itself answers.

Needs the extra `export`.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from habitus_embedder.export.faults import ExportFault
from habitus_embedder.export.source import needs_extra

_MAKERS: Final = ("torch", "transformers", "optimum", "optimum-onnx", "onnx")


def load(source: Path) -> Any:
    """Return the PyTorch model of a folder in fp32, ready to be asked.

    Raises:
        ExportFault: the extra is missing, or the folder holds no model that transformers knows.
    """
    try:
        import torch  # noqa: PLC0415
        from transformers import AutoModel  # noqa: PLC0415
    except ImportError as error:
        raise ExportFault(needs_extra(error.name or "torch")) from None
    try:
        model = AutoModel.from_pretrained(
            source,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise ExportFault(f"{source}: {str(error).splitlines()[0]}") from None
    return model.eval()


def write_graph(model: Any, source: Path, out: Path) -> dict[str, str]:
    """Export `model` into `out`; return the versions of what made the graph.

    Raises:
        ExportFault: the extra is missing.
    """
    try:
        from optimum.exporters.onnx.convert import onnx_export_from_model  # noqa: PLC0415
        from transformers import AutoTokenizer  # noqa: PLC0415
    except ImportError as error:
        raise ExportFault(needs_extra(error.name or "optimum-onnx")) from None
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    # Its own validation compares hidden states of pads too; ours compares the vectors that are served.
    onnx_export_from_model(
        model, out, task="feature-extraction", do_validation=False, preprocessors=[tokenizer]
    )
    return {name: version(name) for name in _MAKERS}


def hidden_states(model: Any, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what PyTorch itself gives for token numbers and mask [n, t]: float32 [n, t, d]."""
    import torch  # noqa: PLC0415

    with torch.no_grad():
        answer = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    states: NDArray[np.float32] = answer.last_hidden_state.numpy()
    return states
