"""A pytest plugin: a clock that a shared fixture reads is read by every test that uses it. See sitecustomize."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


def _name(fixture: pytest.FixtureDef[object]) -> str:
    return f"fixture {fixture.argname} of {fixture.baseid or 'the suite'}"


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Name the fixture being made, unless it is made for one test only."""
    outer = os.environ["CLOCK_RUNNING"]
    if fixturedef.scope != "function":
        os.environ["CLOCK_RUNNING"] = _name(fixturedef)
    yield
    os.environ["CLOCK_RUNNING"] = outer


def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Name the test, for its processes too, and note which shared fixtures it uses."""
    os.environ["CLOCK_RUNNING"] = item.nodeid
    found = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    shared = {_name(one) for made in found for one in made if one.scope != "function"}
    with open(f"{os.environ['CLOCK_READERS']}.uses", "a", encoding="utf-8") as file:
        file.writelines(f"{item.nodeid}\t{name}\n" for name in sorted(shared))
