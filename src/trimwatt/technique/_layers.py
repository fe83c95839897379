"""Which layers a given network has, by their names alone: no framework is loaded for it."""

from __future__ import annotations

from trimwatt.workload import Workload

CONVOLVES, RECURS = ("Conv",), ("GRU", "LSTM", "RNN")
ATTENDS = ("MultiheadAttention", "LayerNorm", "LayerNormalization")


def layers(workload: Workload) -> list[str]:
    """Types of a PyTorch module's parts or of an ONNX graph's nodes; none for what is no given network."""
    if workload.form == "torch":
        return [type(part).__name__ for part in workload.model.modules()]
    if workload.form != "onnx":
        return []
    import onnx

    return [str(node.op_type) for node in onnx.load_model_from_string(workload.model).graph.node]


def lacks(workload: Workload, marks: tuple[str, ...], what: str) -> str:
    """Why a technique for these layers makes no sense here; "" where the network has one."""
    return "" if any(name.startswith(marks) for name in layers(workload)) else f"the model given has no {what}"
