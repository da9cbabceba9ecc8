# SPDX-License-Identifier: Apache-2.0
"""Smaller weights: int8, and fp16.

Dynamic int8 as ONNX Runtime's own tools make it quantises activations with one scale a batch, so that a
text's vector depends on its neighbours. Here every token has a scale of its own, and sums of whole
numbers are exact: a row never sees another. Weights have one scale a column, the token table one a row.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from habitus_embedder.export.faults import ExportFault
from habitus_embedder.export.source import needs_extra

# Of 127: on processors without VNNI two products of 8 and 8 bits overflow the 16 bits that hold their sum.
_WEIGHT: Final = 63
_ACTIVATION: Final = 127
# Activations are stored from 1 to 255 around this; unsigned by signed is the fast form.
_ZERO: Final = 128
# A row of zeros has a scale too.
_SMALLEST: Final = 1e-30
# A smaller table saves nothing worth a node.
_TABLE_ROWS: Final = 1000
# From here on ReduceMax takes its axes as an input.
_AXES_OPSET: Final = 18
# ONNX Runtime's own operators.
_RUNTIME: Final = "com.microsoft"


def to_int8(file: Path) -> None:
    """Rewrite the graph with int8 weights and products of whole numbers.

    Raises:
        ExportFault: the extra is missing.
    """
    try:
        import onnx  # noqa: PLC0415
    except ImportError as error:
        raise ExportFault(needs_extra(error.name or "onnx")) from None
    model = onnx.load(file)
    _shrink_tables(model)
    _shrink_products(model)
    _save(model, file)


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
    _replace_nodes(graph, nodes)


def _replace_nodes(graph: Any, nodes: list[Any]) -> None:
    del graph.node[:]
    graph.node.extend(nodes)


def _shrink_products(model: Any) -> None:
    """Multiply by constant fp32 matrices [k, n] in int8."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    graph = model.graph
    weights = {one.name: one for one in graph.initializer if one.data_type == TensorProto.FLOAT}
    opset = next(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"})
    rows = _Rows(opset)
    nodes = []
    shrunk = {}
    for node in graph.node:
        weight = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or len(weight.dims) != 2:  # noqa: PLR2004
            nodes.append(node)
            continue
        shrunk[weight.name] = weight
        made, constants = _product(node, numpy_helper.to_array(weight), rows)
        nodes += made
        graph.initializer.extend(constants)
    graph.initializer.extend(rows.constants)
    if not any(one.domain == _RUNTIME for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_RUNTIME, 1))
    _replace_nodes(graph, nodes)
    used = {name for node in nodes for name in node.input}
    for name, weight in shrunk.items():
        if name not in used:
            graph.initializer.remove(weight)


def _product(node: Any, weight: Any, rows: "_Rows") -> tuple[list[Any], list[Any]]:
    """Return the nodes and constants in place of one product: rows scaled, cast, multiplied, scaled back."""
    from onnx import helper, numpy_helper  # noqa: PLC0415

    scales = np.maximum(np.abs(weight).max(axis=0), np.float32(_SMALLEST)) / _WEIGHT
    # A node may have no name; its output always has one.
    whole, by_column, product = (f"{node.output[0]}_{part}" for part in ("int8", "scale", "product"))
    constants = [
        numpy_helper.from_array(np.rint(weight / scales).astype(np.int8), whole),
        numpy_helper.from_array(scales.astype(np.float32), by_column),
    ]
    quantised, by_row, made = rows.of(node.input[0])
    # MatMulInteger, whose product leaves it as fp32 by the columns' scales.
    taken = [quantised, whole, rows.one, by_column, rows.zero]
    return [
        *made,
        helper.make_node("MatMulIntegerToFloat", taken, [product], product, domain=_RUNTIME),
        helper.make_node("Mul", [product, by_row], list(node.output), f"{product}_mul"),
    ], constants


class _Rows:
    """Activations as uint8 with one scale a row; those that several products take are made once."""

    zero = "habitus_int8_zero"
    one = "habitus_int8_one"

    def __init__(self, opset: int) -> None:
        from onnx import numpy_helper  # noqa: PLC0415

        made = {
            self.zero: np.array(_ZERO, np.uint8),
            self.one: np.array(1, np.float32),
            "habitus_int8_shift": np.array(_ZERO, np.float32),
            "habitus_int8_step": np.array(1 / _ACTIVATION, np.float32),
            "habitus_int8_smallest": np.array(_SMALLEST, np.float32),
            "habitus_int8_axes": np.array([-1], np.int64),
        }
        self.constants = [numpy_helper.from_array(value, name) for name, value in made.items()]
        self._opset = opset
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, value: str) -> tuple[str, str, list[Any]]:
        """Return the names of the quantised rows and of their scales, and the nodes still to be added."""
        if value in self._known:
            return *self._known[value], []
        from onnx import TensorProto, helper  # noqa: PLC0415

        def name(part: str) -> str:
            return f"{value}_{part}"

        def node(kind: str, taken: list[str], part: str, **options: Any) -> Any:
            return helper.make_node(kind, taken, [name(part)], name(part), **options)

        most = (
            node("ReduceMax", [name("abs"), "habitus_int8_axes"], "most", keepdims=1)
            if self._opset >= _AXES_OPSET
            else node("ReduceMax", [name("abs")], "most", axes=[-1], keepdims=1)
        )
        self._known[value] = name("uint8"), name("row_scale")
        return *self._known[value], [
            node("Abs", [value], "abs"),
            most,
            node("Max", [name("most"), "habitus_int8_smallest"], "some"),
            node("Mul", [name("some"), "habitus_int8_step"], "row_scale"),
            node("Div", [value, name("row_scale")], "steps"),
            node("Round", [name("steps")], "whole"),
            node("Add", [name("whole"), "habitus_int8_shift"], "shifted"),
            node("Cast", [name("shifted")], "uint8", to=TensorProto.UINT8),
        ]
