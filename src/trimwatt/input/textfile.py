"""Bytes of a text file as text: gzip, byte order marks, encodings, and the mark between columns."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
_NEARLY_ALL = 0.9
_ESCAPED_QUOTE = re.compile(r'\\"[^,;\t|\r\n]')


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


@dataclass(frozen=True)
class Dialect:
    """How records are written: the mark between columns, around fields, and before a quote inside one ("": doubled).

    skips_spaces: whether spaces behind a delimiter belong to it.
    """

    delimiter: str
    quote: str = '"'
    escape: str = ""
    skips_spaces: bool = True

    def records(self, text: str) -> Iterator[list[str]]:
        """The records of `text`; raises csv.Error where one cannot be read."""
        return csv.reader(
            io.StringIO(text, newline=""),
            delimiter=self.delimiter,
            quotechar=self.quote,
            escapechar=self.escape or None,
            doublequote=not self.escape,
            skipinitialspace=self.skips_spaces,
        )


def sniff(text: str, prefer: str = ",") -> tuple[Dialect, str]:
    """How `text` is written, and `text` from its header on: without comments or the line `sep=;` of Excel."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        return _with_quotes(first[4], rest), rest
    text = _without_comments(text)
    order = sorted(DELIMITERS, key=lambda mark: mark != prefer)
    best = max(order, key=lambda mark: _fit(text, mark))
    return _with_quotes(best if _fit(text, best)[0] else prefer, text), text


def spaced(text: str, dialect: Dialect) -> bool:
    """Whether spaces belong to the delimiter: they stand before quotes, or before nearly every field."""
    sample = text[:_SAMPLE_CHARACTERS]
    if f"{dialect.delimiter} {dialect.quote}" in sample:
        return True
    lines = [line for line in sample.splitlines()[:_SAMPLE_RECORDS] if dialect.delimiter in line]
    fields = [field for line in lines for field in line.split(dialect.delimiter)[1:]]
    return sum(field.startswith(" ") for field in fields) > _NEARLY_ALL * len(fields)


def _without_comments(text: str) -> str:
    """A first line with # is the header only where it has as many delimiters as the line below."""
    while text.startswith("#"):
        first, _, rest = text.partition("\n")
        below = rest.partition("\n")[0]
        counts = [(first.count(mark), below.count(mark)) for mark in DELIMITERS]
        if not rest or any(above and above == beneath for above, beneath in counts):
            return text
        text = rest
    return text


def _with_quotes(delimiter: str, text: str) -> Dialect:
    sample = text[:_SAMPLE_CHARACTERS]
    if _ESCAPED_QUOTE.search(sample) and '""' not in sample:
        return Dialect(delimiter, escape="\\")
    if '"' not in sample and "'" in sample:
        fields = [field.strip() for line in sample.splitlines()[:50] for field in line.split(delimiter)]
        quoted = sum(len(field) > 1 and field[0] == field[-1] == "'" for field in fields)
        if quoted > len(fields) / 4:
            return Dialect(delimiter, quote="'")
    return Dialect(delimiter)


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """Share of sampled records as wide as the first, and that width; (0, 1) where there is one column."""
    reader = Dialect(delimiter).records(text[:_SAMPLE_CHARACTERS])
    try:
        widths = [len(record) for record in itertools.islice(reader, _SAMPLE_RECORDS) if record]
    except csv.Error:
        return 0.0, 1
    if len(text) > _SAMPLE_CHARACTERS and 1 < len(widths) < _SAMPLE_RECORDS:
        widths.pop()
    if not widths or widths[0] < 2:
        return 0.0, 1
    return round(Counter(widths)[widths[0]] / len(widths), 2), widths[0]
