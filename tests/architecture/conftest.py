"""One thread, so that tests beside one another do not wait for each other's cores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trimwatt.framework.torch.run import threads


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with threads(1):
        yield
