"""What a TorchScript file may hold, looked at before torch reads a byte of it.

A file of TorchScript is a zip of source in a subset of Python, tensors, and pickles that torch reads with its own
reader. Its source may define `__setstate__`, which runs as the file is opened, start threads, and call operators that
read and write files. A network as `script.save` writes it needs none of these: classes with `forward` alone, which
calls operators of a list.
"""

from __future__ import annotations

import ast
import io
import pickletools
import re
import zipfile
from collections.abc import Iterator

from trimwatt.errors import InputError
from trimwatt.framework.torch.script_operators import PLAIN, is_allowed

_NODES = (
    ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AnnAssign, ast.Expr,
    ast.If, ast.While, ast.For, ast.Pass, ast.Break, ast.Continue, ast.Name, ast.Attribute, ast.Constant, ast.List,
    ast.Tuple, ast.Dict, ast.Subscript, ast.Slice, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call,
    ast.keyword, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_KEPT = re.compile(
    r"(data|constants)\.pkl|(data|constants)/\d+|version|byteorder|\.format_version|\.storage_alignment|"
    r"\.data/(serialization_id|version)|code/[\w/]+\.py"
)
# source positions for messages, and files that a program brought along: nothing needs them
_LEFT_OUT = re.compile(r"code/[\w/]+\.py\.debug_pkl|extra/.*")
_STORED = ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
_REBUILT = {
    "torch._utils": {"_rebuild_tensor_v2"},
    "collections": {"OrderedDict"},
    "torch": {f"{kind}Storage" for kind in _STORED},
    "torch.jit._pickle": {*(f"build_{kind}list" for kind in ("bool", "double", "int", "tensor")), "restore_type_tag"},
}  # fmt: skip
_MOST_TIMES, _MOST_BYTES = 20, 2**26


def inspected(data: bytes, name: str) -> bytes:
    """The program in `data` packed anew from the parts that were looked at, so that no other reader sees others.

    Raises InputError, having run nothing, where it is no TorchScript or holds what no exported network does.
    """
    try:
        parts = _parts(data, name)
        classes = {f"__torch__{kind}" for path, source in _sources(parts) for kind in _classes(path, source, name)}
        for path, content in parts.items():
            if path.endswith(".pkl"):
                _check_pickle(content, classes, name)
    except InputError:
        raise
    except Exception as error:  # a damaged file raises anything
        raise InputError(f"{name} is no TorchScript program that can be read; copy the artifact again") from error
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path, content in parts.items():
            archive.writestr(f"archive/{path}", content)
    return packed.getvalue()


def _parts(data: bytes, name: str) -> dict[str, bytes]:
    """Every file of the program by its path below the archive's one folder."""
    parts: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > max(_MOST_BYTES, _MOST_TIMES * len(data)):
            raise InputError(f"{name} unfolds to far more than its size; it was not loaded")
        root = entries[0].filename.partition("/")[0]
        for entry in entries:
            folder, _, path = entry.filename.partition("/")
            if _LEFT_OUT.fullmatch(path):
                continue
            if folder != root or not _KEPT.fullmatch(path) or path in parts:
                raise _refusal(name, f"the file {entry.filename[:80]!r}")
            parts[path] = archive.read(entry)
    return parts


def _sources(parts: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    for path, content in parts.items():
        if path.endswith(".py"):
            yield path, content.decode("utf-8")


def _classes(path: str, source: str, name: str) -> list[str]:
    """The classes that a file of source defines, as ".module.Class" below `__torch__`, once all of it was looked at."""
    module = path.removeprefix("code/__torch__").removesuffix(".py").replace("/", ".")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise _refusal(name, f"a {type(node).__name__} statement")
        if isinstance(node, ast.Call):
            _check_call(node.func, name)
        if isinstance(node, ast.Attribute) and node.attr == "classes":
            raise _refusal(name, "an object of a compiled class")
    for node in tree.body:
        _check_class(node, name)
    return [f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)]


def _check_class(node: ast.stmt, name: str) -> None:
    """Only a Module, whose methods are `forward` alone: no interface, no function, no __setstate__."""
    if not isinstance(node, ast.ClassDef):
        raise _refusal(name, "source outside a class")
    if [ast.unparse(base) for base in node.bases] != ["Module"] or node.keywords or node.decorator_list:
        raise _refusal(name, f"the class {node.name}, which is no module")
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and (part.name != "forward" or part.decorator_list):
            raise _refusal(name, f"the method {part.name}")
        if not isinstance(part, (ast.FunctionDef, ast.Assign, ast.AnnAssign)):
            raise _refusal(name, f"a {type(part).__name__} statement")
        if not isinstance(part, ast.FunctionDef) and any(isinstance(inner, ast.Call) for inner in ast.walk(part)):
            raise _refusal(name, "a call outside forward")


def _check_call(function: ast.expr, name: str) -> None:
    words = ast.unparse(function).split(".")
    spaces = {"torch": "aten", **{f"ops.{space}": space for space in ("aten", "prim")}}
    space = spaces.get(".".join(words[:-1]))
    # `forward` of a module within: that of a class looked at here too
    known = (len(words) == 1 and words[0] in PLAIN) or words == ["torch", "device"] or words[-1] == "forward"
    if not known and not (space and is_allowed(f"{space}::{words[-1]}")):
        raise _refusal(name, ".".join(words)[:80])


def check_kinds(kinds: set[str], name: str) -> None:
    """Raise InputError where a graph has a node of another kind."""
    if foreign := sorted(kind for kind in kinds if not is_allowed(kind)):
        raise _refusal(name, foreign[0])


def _check_pickle(content: bytes, classes: set[str], name: str) -> None:
    """Only tensors, lists and the classes of this program: torch's reader makes what a global names."""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise _refusal(name, f"the pickle operation {operation.name}")
        if operation.name == "GLOBAL":
            module, _, kind = str(argument).partition(" ")
            if kind not in _REBUILT.get(module, ()) and f"{module}.{kind}" not in classes:
                raise _refusal(name, f"{module}.{kind}"[:80])


def _refusal(name: str, what: str) -> InputError:
    return InputError(
        f"{name} uses {what}, which no exported network does, so nothing of it was run; deploy one of the study's ONNX "
        "models"
    )
