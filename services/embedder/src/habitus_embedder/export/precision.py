# SPDX-License-Identifier: Apache-2.0
"""Smaller weights: int8 by weight only, and fp16.

Dynamic int8 quantises activations with one scale a batch, so that a text's vector depends on its
neighbours. Here weights alone are int8: matrices in blocks (operator MatMulNBits, whose own scale of
the activations is one a row and block, so a row never sees another), the token table by row.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from habitus_embedder.export.faults import ExportFault
from habitus_embedder.export.source import needs_extra

_BITS: Final = 8
_BLOCK: Final = 32
# Activations int8 too, inside the operator: 4 in its documentation.
_INT8_ACCURACY: Final = 4
# A smaller table saves nothing worth a node.
_TABLE_ROWS: Final = 1000


def to_int8(file: Path) -> None:
    """Rewrite the graph with int8 weights.

    Raises:
        ExportFault: the extra is missing.
    """
    try:
        import onnx  # noqa: PLC0415
        from onnxruntime.quantization.matmul_nbits_quantizer import (  # noqa: PLC0415
            DefaultWeightOnlyQuantConfig,
            MatMulNBitsQuantizer,
        )
    except ImportError as error:
        raise ExportFault(needs_extra(error.name or "onnx")) from None
    model = onnx.load(file)
    _shrink_tables(model)
    config = DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK, is_symmetric=True, accuracy_level=_INT8_ACCURACY, bits=_BITS
    )
    quantiser = MatMulNBitsQuantizer(
        model,
        bits=_BITS,
        block_size=_BLOCK,
        is_symmetric=True,
        accuracy_level=_INT8_ACCURACY,
        algo_config=config,
    )
    quantiser.process()
    _save(quantiser.model.model, file)


def to_fp16(file: Path) -> None:
    """Rewrite the graph with fp16 weights and arithmetic; inputs and outputs stay as they are.

    Raises:
        ExportFault: the extra is missing.
    """
    try:
        import onnx  # noqa: PLC0415
        from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415
    except ImportError as error:
        raise ExportFault(needs_extra(error.name or "onnx")) from None
    model = onnx.load(file)
    # Shape inference of the whole cannot be done above 2 GB, and casts are few without it too.
    _save(convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True), file)


def _save(model: Any, file: Path) -> None:
    import onnx  # noqa: PLC0415

    for old in (file, *file.parent.glob(f"{file.name}*data")):
        old.unlink(missing_ok=True)
    large = model.ByteSize() > (1 << 30)
    onnx.save(model, file, save_as_external_data=large, location=f"{file.name}_data" if large else None)


def _shrink_tables(model: Any) -> None:
    """Store each large token table as int8 with one scale a row: Gather both, cast, multiply."""
    from onnx import helper, numpy_helper  # noqa: PLC0415

    graph = model.graph
    tables = {one.name: one for one in graph.initializer}
    nodes = []
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < _TABLE_ROWS:  # noqa: PLR2004
            nodes.append(node)
            continue
        values = numpy_helper.to_array(table)
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / 127
        names = [f"{node.name}_{part}" for part in ("int8", "scale", "picked", "cast", "scales")]
        graph.initializer.append(numpy_helper.from_array(np.rint(values / scales).astype(np.int8), names[0]))
        graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), names[1]))
        nodes += [
            helper.make_node("Gather", [names[0], node.input[1]], [names[2]], f"{node.name}_rows"),
            helper.make_node("Cast", [names[2]], [names[3]], f"{node.name}_cast", to=1),
            helper.make_node("Gather", [names[1], node.input[1]], [names[4]], f"{node.name}_scales_rows"),
            helper.make_node("Mul", [names[3], names[4]], list(node.output), f"{node.name}_mul"),
        ]
        if not any(table.name in other.input for other in graph.node if other is not node):
            graph.initializer.remove(table)
    del graph.node[:]
    graph.node.extend(nodes)
