"""The key of this user on this machine, and what was made under it.

Artifacts that can run code when they are opened are signed with 32 random bytes, which are written with the first such
artifact and never leave their file. What carries no valid signature came from elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

_BYTES = 32


def key_path() -> Path | None:
    """Where the key is: TRIMWATT_KEY, or trimwatt/key in XDG_STATE_HOME or ~/.local/state; None without a home."""
    if named := os.environ.get("TRIMWATT_KEY"):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        # the standard ignores a relative one
        folder = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return folder / "trimwatt" / "key"


def sign(value: Any) -> str | None:
    """The HMAC-SHA256 of a JSON value under the key, which is made where there is none; None where it cannot be."""
    key = _read() or _create()
    return None if key is None else _hmac(key, value)


def is_valid(value: Any, signature: Any) -> bool:
    """Whether `signature` is what `sign` gave here for `value`; a missing or unreadable key is no."""
    key = _read()
    if key is None or not isinstance(signature, str) or not signature.isascii():
        return False
    return hmac.compare_digest(_hmac(key, value), signature)


def _hmac(key: bytes, value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, b"trimwatt\n" + text.encode("ascii"), hashlib.sha256).hexdigest()


def _read() -> bytes | None:
    """The key, where its file is this user's alone; one that others could write or read is none."""
    path = key_path()
    if path is None:
        return None
    named = bool(os.environ.get("TRIMWATT_KEY"))
    # a secret that is handed to a container is often a link, and its name was given; the usual place holds a plain file
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if named else getattr(os, "O_NOFOLLOW", 0))
    try:
        with open(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or not _private(found, named):
                return None
            key = file.read(4096)
    except (OSError, ValueError):
        return None
    return key if len(key) >= _BYTES else None


def _private(found: os.stat_result, named: bool) -> bool:
    if not hasattr(os, "geteuid"):
        return True
    if named:
        return found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _create() -> bytes | None:
    """Write a new key where none stands; of several processes at once the first one's is kept by all."""
    path = key_path()
    if path is None or os.path.lexists(path):
        return None
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # a link fails where the name is taken, so that a key is never replaced and never seen half-written
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    except OSError:
        return _read()
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    return _read()
