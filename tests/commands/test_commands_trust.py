"""`trimwatt predict` opens what can run code where it is trusted, in a process under limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handing_over import hand_over

from trimwatt.commands.predict import _joined
from trimwatt.runtime import signature
from trimwatt.runtime.deployed import read_manifest
from trimwatt.testing import samples

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--trust", DIGEST, "a", "b"], [f"--trust={DIGEST}", "a", "b"]),
        (["--trust", "a", "b"], ["--trust=unseen", "a", "b"]),
        (["a", "b", "--trust"], ["a", "b", "--trust=unseen"]),
        (["a", "--trust", "-o", "x", "b"], ["a", "--trust=unseen", "-o", "x", "b"]),
        ([f"--trust={DIGEST}", "a"], [f"--trust={DIGEST}", "a"]),
        (["--trust", "--trust", DIGEST], ["--trust=unseen", f"--trust={DIGEST}"]),
    ],
)
def test_a_word_after_trust_is_its_value_only_where_it_is_a_digest(given: list[str], wanted: list[str]) -> None:
    assert _joined(given) == wanted


def test_three_ways_to_open_objects(run: Any, tmp_path: Path) -> None:
    folder = hand_over(samples.digits(rows=200), tmp_path / "objects", "sklearn")
    digest = read_manifest(folder)[1]
    np.savez("rows.npz", x=np.zeros((2, 64), np.float32))
    code, made_here, err = run("predict", folder, "rows.npz")
    assert (code, err) == (0, "") and made_here.startswith("prediction,")
    path = signature.key_path()
    assert path is not None
    path.unlink()
    code, out, err = run("predict", folder, "rows.npz")
    assert (code, out) == (2, "") and "--trust sha256:" in err and err.count("\n") == 1
    assert run("predict", "--trust", digest, folder, "rows.npz") == (0, made_here, "")
    code, out, err = run("predict", folder, "--trust", "rows.npz")
    assert (code, out) == (0, made_here)
    assert "model.skops in the runtime sklearn can run code as you" in err and f"--trust {digest}" in err
    code, out, err = run("predict", folder, "rows.npz", "--trust", DIGEST)
    assert (code, out) == (2, "") and "not the pinned one" in err


def onnx_artifact(folder: Path, node: Any, *constants: Any) -> Path:
    """An artifact of a few bytes, as a stranger would make one."""
    import hashlib

    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, None)
    nodes = [node, helper.make_node("Identity", ["x"], ["unused"])]
    graph = helper.make_graph(nodes, "g", [x], [y], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model)
    manifest = {
        "schema": "trimwatt/artifact/1", "runtime": "onnxruntime", "task": "regression", "metric": "mae",
        "classes": None, "input": {"kind": "table", "named": False, "columns": [], "shape": [2], "dtype": "float32"},
        "recipe": [], "files": {"model.onnx": hashlib.sha256(model).hexdigest()},
        "scenario": {"batch_size": 1, "threads": 1, "request": "array"}, "figures": {}, "versions": {}, "created": "",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_memory_has_a_bound_that_the_message_names(run: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    size = helper.make_tensor("size", TensorProto.INT64, [1], [10**10])
    folder = onnx_artifact(tmp_path / "big", helper.make_node("ConstantOfShape", ["size"], ["prediction"]), size)
    np.savez("rows.npz", x=np.zeros((3, 2), np.float32))
    code, out, err = run("predict", folder, "rows.npz", "--max-memory", "1GB")
    assert (code, out) == (2, "") and "it may take 1.00 GB of memory (--max-memory)" in err and err.count("\n") == 1


def test_time_has_a_bound_only_where_one_is_given(run: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    scalar = [helper.make_tensor_value_info(name, kind, []) for name, kind in
              (("i", TensorProto.INT64), ("c", TensorProto.BOOL), ("v", TensorProto.FLOAT))]  # fmt: skip
    out = [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_tensor_value_info("v2", 1, [])]
    steps = [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["v", "one"], ["v2"])]
    body = helper.make_graph(steps, "b", scalar, out, [helper.make_tensor("one", 1, [], [1.0])])
    constants = [
        helper.make_tensor("trips", TensorProto.INT64, [], [10**15]), helper.make_tensor("z", 1, [], [0.0]),
        helper.make_tensor("t", TensorProto.BOOL, [], [True]),
    ]  # fmt: skip
    node = helper.make_node("Loop", ["trips", "t", "z"], ["prediction"], body=body)
    folder = onnx_artifact(tmp_path / "long", node, *constants)
    np.savez("rows.npz", x=np.zeros((3, 2), np.float32))
    code, said, err = run("predict", folder, "rows.npz", "--timeout", "8s")
    assert (code, said) == (2, "") and "more than 8.00 s, the --timeout" in err and err.count("\n") == 1


def test_an_answer_of_another_length_is_refused(run: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    size = helper.make_tensor("size", TensorProto.INT64, [1], [7])
    folder = onnx_artifact(tmp_path / "seven", helper.make_node("ConstantOfShape", ["size"], ["prediction"]), size)
    np.savez("rows.npz", x=np.zeros((3, 2), np.float32))
    code, out, err = run("predict", folder, "rows.npz")
    assert (code, out) == (2, "") and "an answer of shape (7,) to 3 rows" in err
