"""A database server to hold the store to: the one that TRIMWATT_TEST_STORE names, or one started here on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a PostgreSQL database that may be written to; a skip that says what is missing."""
    if given := os.environ.get("TRIMWATT_TEST_STORE"):
        yield given
        return
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install 'trimwatt[postgresql]'")
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed here, and TRIMWATT_TEST_STORE names none")
    folder = Path(tempfile.mkdtemp(prefix="trimwatt-postgresql-"))
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        yield from _serve(programs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps it off the PATH."""
    found = [Path(known).parent for known in [shutil.which("initdb")] if known]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in found if (place / "initdb").is_file()), None)


def _serve(programs: Path, folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    _run(programs / "initdb", "-D", data, "-U", "me", "-A", "trust", "--no-sync")
    settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    _run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", settings, "start")
    try:
        yield f"postgresql+psycopg://me@127.0.0.1:{port}/postgres"
    finally:
        _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _run(*words: object) -> None:
    """As nobody where we are root, which the server refuses to be."""
    user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(
        [str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300,
        cwd="/", **user,
    )  # fmt: skip
