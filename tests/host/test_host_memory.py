"""Free memory is what the machine and every control group above a process leave, in both versions of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trimwatt.host import memory, processes

GIB = 2**30
Lay = Callable[..., None]


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """A system as /proc and the mounted hierarchies show it, with 100 GiB free on the machine."""
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(processes, "PROC", tmp_path / "proc")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100 * GIB}))

    def write(kind: str, options: str, inside: str, **files: dict[str, object]) -> None:
        top = tmp_path / "sys"
        (tmp_path / "proc/self/mounts").write_text(f"proc /proc proc rw 0 0\n{kind} {top} {kind} {options} 0 0\n")
        (tmp_path / "proc/self/cgroup").write_text(inside)
        for group, content in files.items():
            folder = top / group.strip("_").replace("_", "/")
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in content.items():
                (folder / name).write_text(f"{text}\n")

    return write


def limited(most: object, held: int, **stat: int) -> dict[str, object]:
    keyed = "\n".join(f"{key} {value}" for key, value in {"anon": 1, **stat}.items())
    return {"memory.max": most, "memory.current": held, "memory.stat": keyed}


def test_the_machine_s_where_no_group_says_less(lay: Lay) -> None:
    assert memory.free_bytes() == 100 * GIB
    lay("cgroup2", "rw", "0::/pod/box\n", pod_box=limited("max", 3), pod=limited(10**15, 3))
    assert memory.free_bytes() == 100 * GIB


@pytest.mark.parametrize("inside", ["0::/pod/box\n", "12:pids:/x\n0::/pod/box\n"])
def test_the_tightest_group_of_version_2(lay: Lay, inside: str) -> None:
    box, pod = limited(8 * GIB, 2 * GIB), limited(4 * GIB, 3 * GIB)
    lay("cgroup2", "rw,nsdelegate", inside, pod_box=box, pod=pod)
    assert memory.free_bytes() == GIB


def test_files_that_the_kernel_can_drop_count_as_free(lay: Lay) -> None:
    lay("cgroup2", "rw", "0::/\n", _=limited(8 * GIB, 7 * GIB, inactive_file=2 * GIB))
    assert memory.free_bytes() == 3 * GIB


def test_a_group_beyond_its_limit_leaves_nothing(lay: Lay) -> None:
    lay("cgroup2", "rw", "0::/\n", _=limited(GIB, 2 * GIB))
    assert memory.free_bytes() == 0


@pytest.mark.parametrize("inside", ["0::/../../other\n", "0::/not/seen/from/here\n", "0::/\n"])
def test_a_container_that_sees_only_its_own_group(lay: Lay, inside: str) -> None:
    lay("cgroup2", "ro", inside, _=limited(4 * GIB, GIB))
    assert memory.free_bytes() == 3 * GIB


def test_version_1_and_its_number_for_no_limit(lay: Lay) -> None:
    def old(most: int, held: int) -> dict[str, object]:
        stat = f"cache 5\ninactive_file 9\ntotal_inactive_file {GIB}"
        return {"memory.limit_in_bytes": most, "memory.usage_in_bytes": held, "memory.stat": stat}

    none = old(9223372036854771712, 50 * GIB)
    lay("cgroup", "rw,nosuid,memory", "9:memory:/docker/abc\n8:cpu,cpuacct:/x\n", docker_abc=none)
    assert memory.free_bytes() == 100 * GIB
    lay("cgroup", "rw,memory", "9:memory:/docker/abc\n", docker_abc=old(6 * GIB, 2 * GIB), docker=none)
    assert memory.free_bytes() == 5 * GIB
    lay("cgroup", "rw,cpu,cpuacct", "9:memory:/docker/abc\n")
    assert memory.free_bytes() == 100 * GIB


def test_what_is_given_to_predict_and_to_reading_is_that(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    from trimwatt import _process
    from trimwatt.commands import predict
    from trimwatt.input.checks import memory_limit

    class Stop(Exception):
        pass

    def child(*_: object, memory_limit_bytes: int, **__: object) -> None:
        raise Stop(memory_limit_bytes)

    lay("cgroup2", "rw", "0::/\n", _=limited(4 * GIB, 2 * GIB))
    monkeypatch.setattr(_process, "Child", child)
    with pytest.raises(Stop) as stopped:
        predict._answers(Path("artifact"), "x.csv", None, None, 1.0)
    assert stopped.value.args == (2 * GIB,)
    assert memory_limit() == GIB // 2
