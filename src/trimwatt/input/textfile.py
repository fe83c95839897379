"""Bytes of a text file as text: gzip, byte order marks, encodings, and the mark between columns."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import zlib
from collections import Counter
from pathlib import Path

from trimwatt.errors import InputError
from trimwatt.input.checks import memory_limit

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"PAR1", "a Parquet file; name it .parquet"),
    (b"PK\x03\x04", "a zip or Excel file; save the table as .csv or .parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save the table as .csv"),
    (b"\x89HDF", "an HDF5 file; save the table as .csv or .parquet"),
    (b"%PDF", "a PDF; save the table as .csv"),
)
DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 200_000
_SAMPLE_RECORDS = 200


def read_text(path: Path) -> str:
    """The text of `path`, unfolded where it is gzip; raises InputError where it is empty or no text."""
    data = _unfolded(path)
    if not data.strip():
        raise InputError(f"{path.name} is empty; a table needs a line of column names and rows below it")
    for signature, what in _SIGNATURES:
        if data.startswith(signature):
            raise InputError(f"{path.name} is not text but {what}")
    return _decoded(data, path.name)


def _unfolded(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    return _gunzip(data, path.name) if data.startswith(b"\x1f\x8b") else data


def _gunzip(data: bytes, name: str) -> bytes:
    limit, size, parts = memory_limit(), 0, []
    while data.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(wbits=31)
        try:
            part = stream.decompress(data, limit - size + 1)
        except zlib.error as error:
            raise InputError(f"{name} is a damaged gzip file ({error}); fetch it again") from error
        size += len(part)
        if size > limit:
            raise InputError(
                f"{name} unfolds to more than {limit / 2**20:,.0f} MiB, which does not fit; give fewer rows"
            )
        if not stream.eof:
            raise InputError(f"{name} is a gzip file that was cut short; fetch it again")
        parts.append(part)
        data = stream.unused_data
    return b"".join(parts)


def _decoded(data: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data, encoding, name)
    guess = _utf16_without_mark(data[:4096])
    if guess:
        return _strictly(data, guess, name)
    if b"\0" in data:
        raise InputError(f"{name} is binary, not text; a table is .csv, .tsv (may be gzipped) or .parquet")
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _strictly(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} says it is {encoding} but is not at byte {error.start}; save it as UTF-8") from error


def _utf16_without_mark(head: bytes) -> str | None:
    """Mostly Latin text in UTF-16 has a zero in every second byte."""
    even, odd = head[0::2], head[1::2]
    if len(odd) > 8 and odd.count(0) > 0.4 * len(odd) and even.count(0) == 0:
        return "utf-16-le"
    if len(even) > 8 and even.count(0) > 0.4 * len(even) and odd.count(0) == 0:
        return "utf-16-be"
    return None


def sniff(text: str, prefer: str = ",") -> tuple[str, str]:
    """The mark between columns, and `text` without the line `sep=;` that Excel may put first."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        return first[4], rest
    order = sorted(DELIMITERS, key=lambda mark: mark != prefer)
    best = max(order, key=lambda mark: _fit(text, mark))
    return (best if _fit(text, best)[0] else prefer), text


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """Share of sampled records as wide as the first, and that width; (0, 1) where there is one column."""
    sample = io.StringIO(text[:_SAMPLE_CHARACTERS], newline="")
    reader = csv.reader(sample, delimiter=delimiter, skipinitialspace=True)
    try:
        widths = [len(record) for record in itertools.islice(reader, _SAMPLE_RECORDS) if record]
    except csv.Error:
        return 0.0, 1
    if len(text) > _SAMPLE_CHARACTERS and 1 < len(widths) < _SAMPLE_RECORDS:
        widths.pop()
    if not widths or widths[0] < 2:
        return 0.0, 1
    return round(Counter(widths)[widths[0]] / len(widths), 2), widths[0]
