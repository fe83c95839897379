"""Folders and zips of images."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import archive, describe, load, pixels, rows_for_prediction

Image = pytest.importorskip("PIL.Image")


def _encoded(number: int, mode: str = "RGB", size: tuple[int, int] = (9, 7), kind: str = "PNG") -> bytes:
    rng = np.random.default_rng(number)
    shape = (size[1], size[0]) + {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8), mode=None).save(out, kind)
    return out.getvalue()


def _files(prefix: str = "", each: int = 30, mode: str = "RGB", classes: str = "ab") -> dict[str, bytes]:
    return {
        f"{prefix}{label}/{n:03d}.png": _encoded(ord(label) * 1000 + n + len(prefix) * 77, mode)
        for label in classes
        for n in range(each)
    }


def _put(path: Path, files: dict[str, bytes], zipped: bool) -> Path:
    if zipped:
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as out:
            for name, content in files.items():
                out.writestr(name, content)
        return path.with_suffix(".zip")
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "pets/", "deep/pets/"])
def test_class_folders(tmp_path: Path, zipped: bool, prefix: str) -> None:
    data, task = load(_put(tmp_path / "set", _files(prefix), zipped))
    assert (task, data.kind, data.classes, data.name) == ("classification", "image", ("a", "b"), "set")
    assert data.train.x.shape == (36, 7, 9, 3) and data.train.x.dtype == np.uint8  # type: ignore[union-attr]
    assert data.warnings == ()


@pytest.mark.parametrize("zipped", [True, False])
def test_splits_above_class_folders(tmp_path: Path, zipped: bool) -> None:
    files = {**_files("set/Train/"), **_files("set/VALID/", 10), **_files("set/test/", 12), "set/notes/x/1.png": b""}
    data, _ = load(_put(tmp_path / "set", files, zipped))
    assert [len(data.train), len(data.val), len(data.test)] == [60, 20, 24]
    assert any("outside class folders" in warning for warning in data.warnings)


def test_pixels_and_labels_stay_together(tmp_path: Path) -> None:
    files = {**_files("train/"), **_files("val/", 10), **_files("test/", 10)}
    data, _ = load(_put(tmp_path / "set", files, True))
    for number, name in enumerate(sorted(name for name in files if name.startswith("train/"))):
        expected = np.asarray(Image.open(io.BytesIO(files[name])))
        np.testing.assert_array_equal(np.asarray(data.train.x)[number], expected)
        assert data.classes is not None and data.classes[data.train.y[number]] == name.split("/")[1]


def test_grey_stays_grey_and_a_mixture_is_colour(tmp_path: Path) -> None:
    grey = load(_put(tmp_path / "grey", _files(mode="L"), True))[0]
    assert grey.train.x.shape == (36, 7, 9)  # type: ignore[union-attr]
    mixed = load(_put(tmp_path / "mixed", {**_files(mode="L"), "a/z.png": _encoded(1, "RGBA")}, True))[0]
    assert mixed.train.x.shape[1:] == (7, 9, 3)  # type: ignore[union-attr]


def _saved(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(out, kind, **options)
    return out.getvalue()


def _deep(low: int, high: int, step: int = 1) -> dict[str, bytes]:
    rng = np.random.default_rng(low)
    return {name: _saved((rng.integers(low, high, (7, 9)) * step).astype(np.uint16)) for name in _files()}


def test_sixteen_bits_are_kept_where_they_are_used(tmp_path: Path) -> None:
    files = _deep(1500, 1600)
    data, _ = load(_put(tmp_path / "deep", files, True))
    x = np.asarray(data.train.x)
    assert x.dtype == np.uint16 and len(np.unique(x)) == 100
    assert data.warnings == ("images keep their 16 bits: 100 grey levels are used",)
    again = rows_for_prediction(_put(tmp_path / "deep", files, True), describe(data))
    assert np.asarray(again).dtype == np.uint16 and sorted(map(bytes, again)) == sorted(  # type: ignore[arg-type]
        bytes(row) for split in (data.train, data.val, data.test) for row in np.asarray(split.x)
    )


@pytest.mark.parametrize("step", [1, 257])
def test_eight_bits_in_sixteen_are_eight(tmp_path: Path, step: int) -> None:
    data, _ = load(_put(tmp_path / "set", _deep(0, 256, step), True))
    plain, _ = load(
        _put(
            tmp_path / "set8",
            {n: _saved((_pixels(c) // step).astype(np.uint8)) for n, c in _deep(0, 256, step).items()},
            True,
        )
    )
    np.testing.assert_array_equal(data.train.x, plain.train.x)
    assert np.asarray(data.train.x).dtype == np.uint8 and data.warnings == ()
    kept = describe(data)
    again = rows_for_prediction(_put(tmp_path / "more", _deep(0, 200, step), True), kept)
    assert np.asarray(again).max() == 199
    if step == 1:
        with pytest.raises(InputError, match=r"levels up to 59\d, the model was made with levels up to 255"):
            rows_for_prediction(_put(tmp_path / "wide", _deep(0, 600), True), kept)


def _pixels(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content))).astype(np.uint16)


def test_deep_images_among_others_say_what_was_done(tmp_path: Path) -> None:
    mixed = {**_deep(1000, 2000), "a/z.png": _encoded(1, "L")}
    data, _ = load(_put(tmp_path / "grey", mixed, True))
    assert np.asarray(data.train.x).dtype == np.uint16
    assert "1 images of 8 bits are among them, their levels taken 257 times" in data.warnings
    colour, _ = load(_put(tmp_path / "colour", {**_deep(1000, 2000), "a/z.png": _encoded(1)}, True))
    assert np.asarray(colour.train.x).dtype == np.uint8
    assert any("60 grey images of 16 bits are among colour ones: 9" in warning for warning in colour.warnings)


def test_images_are_turned_as_their_files_say(tmp_path: Path) -> None:
    tag = Image.Exif()
    tag[0x0112] = 6
    upright, files = np.arange(63, dtype=np.uint8).reshape(7, 9), _files(mode="L")
    files["a/000.png"] = _saved(np.rot90(upright), exif=tag)
    data, _ = load(_put(tmp_path / "set", files, True))
    assert any(
        np.array_equal(row, upright) for split in (data.train, data.val, data.test) for row in np.asarray(split.x)
    )
    assert data.warnings == ("1 images were turned as their EXIF orientation says",)


def test_modes_of_every_kind_become_the_same_pixels(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 2, (7, 9), dtype=np.uint8) * 255
    image = Image.fromarray(grey)
    modes = {mode: image.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")}
    for mode, made in modes.items():
        out = io.BytesIO()
        made.save(out, "TIFF")
        values = pixels.read(out.getvalue(), mode, ("TIFF",)).values
        np.testing.assert_array_equal(values if values.ndim == 2 else values[:, :, 0], grey, err_msg=mode)


def test_a_broken_image_is_told_without_addresses(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load(_put(tmp_path / "set", {**_files(), "b/bad.jpg": b"not a picture"}, True))
    assert "0x" not in str(refused.value) and "cannot identify image file" in str(refused.value)


def test_what_is_no_image_is_left_out_and_told(tmp_path: Path) -> None:
    files = {**_files(), "readme.txt": b"hi", "a/.DS_Store": b"x", "__MACOSX/a/1.png": b"x", "a/Thumbs.db": b"x"}
    data, _ = load(_put(tmp_path / "set", files, True))
    assert data.warnings == ("left out because they are no images: readme.txt",)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    _put(tmp_path / "real", _files(), False)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "real" / "a")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "real" / "b")
    (tmp_path / "real" / "a" / "loop").symlink_to(tmp_path / "set")
    assert len(load(tmp_path / "set")[0].train) == 36


def _png(width: int, height: int) -> bytes:
    """A PNG whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"b/odd.png": _encoded(1, size=(5, 7))}, r"a/000.png is 9 x 7 pixels, b/odd.png 5 x 7"),
        ({"a/0.png": _png(5000, 10)}, "a/0.png is 5000 x 10 pixels; sides of 1 to 4096"),
        ({"a/0.png": _png(60000, 60000)}, "a/0.png"),
        ({"b/bad.jpg": b"not a picture"}, "b/bad.jpg is not a readable image"),
        ({"b/cut.png": _encoded(1)[:90]}, "b/cut.png is not a readable image"),
        ({"../out.png": b""}, "climbs out"),
        ({"a/../../out.png": b""}, "climbs out"),
        ({"/etc/out.png": b""}, "climbs out"),
        ({"C:\\out.png": b""}, "climbs out"),
    ],
)
def test_bad_zips_are_refused_in_one_line(tmp_path: Path, extra: dict[str, bytes], match: str) -> None:
    path = _put(tmp_path / "set", {**_files(), **extra}, True)
    with pytest.raises(InputError, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value) and sorted(tmp_path.iterdir()) == [path]


def test_no_images_no_classes_no_zip(tmp_path: Path) -> None:
    flat = {name.replace("/", "_"): content for name, content in _files().items()}
    for name, files, match in [
        ("flat", flat, "lie in no class folder"),
        ("one", _files(classes="a"), "one class only .a"),
        ("words", {"a/x.txt": b"1"}, "no images but 1 other files .a/x.txt"),
        ("none", {}, "no images but no files"),
        ("tests", _files("test/"), "none for train"),
        ("few", _files(each=5), "10 rows are too few"),
    ]:
        with pytest.raises(InputError, match=match):
            load(_put(tmp_path / name, files, True))
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match="not a readable zip"):
        load(tmp_path / "bad.zip")
    (tmp_path / "empty.zip").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        load(tmp_path / "empty.zip")
    with pytest.raises(InputError, match="names a column"):
        load(_put(tmp_path / "ok", _files(), True), target="a")


def test_a_zip_that_unfolds_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in _files():
            out.writestr(name, bytes(2 * 2**20))
    with pytest.raises(InputError, match="more than 200 times"):
        load(path)
    monkeypatch.setattr(archive, "_MOST_FILES", 10)
    with pytest.raises(InputError, match="more than 10 files"):
        load(path)


def test_links_and_passwords_in_a_zip(tmp_path: Path) -> None:
    def zipped(change: Any) -> Path:
        with zipfile.ZipFile(tmp_path / "odd.zip", "w") as out:
            info = zipfile.ZipInfo("a/odd.png")
            change(info)
            out.writestr(info, b"/etc/passwd")
        return tmp_path / "odd.zip"

    with pytest.raises(InputError, match="is a link"):
        load(zipped(lambda info: setattr(info, "external_attr", (stat.S_IFLNK | 0o777) << 16)))
    path = zipped(lambda info: None)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        load(path)
