"""A real git repository whose check does a fixed amount of work."""

from __future__ import annotations

import subprocess
from pathlib import Path

WORK = """
STEPS = {steps}


def busy():
    total = 0
    for i in range(STEPS):
        total += i * i
    return {{"accuracy": {accuracy}}}


if __name__ == "__main__":
    for _ in range(20):
        busy()
    print('{{"accuracy": {accuracy}}}')
"""
CHECK = """
[tool.trimwatt.check.busy]
callable = "work:busy"
"""


def git(folder: Path, *words: str) -> str:
    given = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(given, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, steps: int = 10_000, accuracy: float = 0.9, check: str = CHECK) -> None:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "work.py").write_text(WORK.format(steps=steps, accuracy=accuracy), encoding="utf-8")
    (folder / "pyproject.toml").write_text(check, encoding="utf-8")


def make(folder: Path, steps: int = 10_000, check: str = CHECK) -> Path:
    """A repository of one commit."""
    git(folder, "init", "-q", "-b", "main")
    write(folder, steps, check=check)
    (folder / ".gitignore").write_text("__pycache__/\nlent/\n", encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder
