"""Where the channels of a stored picture stand."""

from __future__ import annotations

import pytest

from trimwatt.picture import Picture, channels_first


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((1, 8, 8), True),
        ((3, 32, 32), True),
        ((3, 30, 44), True),
        ((12, 20, 20), True),
        ((4, 30, 44), True),
        ((64, 8, 8), True),
        ((8, 8, 1), False),
        ((32, 32, 3), False),
        ((3, 40, 3), False),
        ((1, 28, 1), False),
        ((8, 8, 16), False),
        ((20, 20, 12), False),
        ((30, 44, 4), False),
        ((20, 30, 25), False),
        ((28, 28, 28), False),
        ((28, 28), False),
    ],
)
def test_the_shape_tells_where_the_channels_stand(shape: tuple[int, ...], first: bool) -> None:
    assert channels_first(shape) is first
    picture = Picture.of(shape)
    if len(shape) == 2:
        assert picture == Picture(28, 28)
    else:
        channels, height, width = shape if first else (shape[2], *shape[:2])
        assert picture == Picture(height, width, channels, first) and picture.side == min(height, width)


@pytest.mark.parametrize(
    ("shape", "taken", "first"),
    [
        ((12, 10, 11), 12, True),
        ((12, 10, 11), 11, False),
        ((12, 10, 11), 10, False),
        ((8, 8, 16), 16, False),
        ((16, 16, 3), 16, False),
        ((5, 30, 44), 44, False),
        ((12, 12, 12), 12, False),
    ],
)
def test_what_a_network_takes_tells_where_the_shape_is_not_clear(
    shape: tuple[int, ...], taken: int, first: bool
) -> None:
    assert channels_first(shape, taken) is first


def test_what_is_known_stands_above_the_shape() -> None:
    assert Picture.of((3, 9, 9), first=False) == Picture(3, 9, 9)
    assert Picture.of((9, 9, 3), first=True) == Picture(9, 3, 9, True)
