"""Freeing a model that was exported for a fixed number of rows."""

from __future__ import annotations

from typing import Any

from trimwatt.framework.onnx import _edit


def free(model: Any) -> int | None:
    """Let the model take any number of rows (in place); returns the number it was fixed to, None if it was not.

    Constant shapes of Reshape that repeat that number are freed too; what else holds it shows when the model is run.
    """
    fixed = {shape[0] for shape in map(_edit.shape_of, _edit.free_inputs(model)) if shape and shape[0] is not None}
    if len(fixed) != 1:
        return None
    rows = int(next(iter(fixed)))
    for entry in [*_edit.free_inputs(model), *model.graph.output]:
        dims = entry.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_value") and dims[0].dim_value == rows:
            dims[0].dim_param = "n"
    del model.graph.value_info[:]
    _free_reshapes(model, rows)
    return rows


def _free_reshapes(model: Any, rows: int) -> None:
    import onnx

    tensors = _edit.constants(model)
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensors |= {name: a.t for name in node.output for a in node.attribute if a.name == "value"}
    for i, node in enumerate(model.graph.node):
        if node.op_type != "Reshape" or node.input[1] not in tensors:
            continue
        shape = onnx.numpy_helper.to_array(tensors[node.input[1]]).copy()
        if len(shape) and shape[0] == rows:
            # 0 keeps the incoming size, for where -1 is spoken for
            shape[0] = 0 if (shape[1:] == -1).any() else -1
            name = _edit.unused_name(model, f"{node.input[1]}/any{i}")
            model.graph.initializer.append(onnx.numpy_helper.from_array(shape, name))
            node.input[1] = name
