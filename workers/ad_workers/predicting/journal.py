"""What a watch has scored, remembered whatever happens: JSON Lines that only grow, read at the start."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import InvalidRequest
from ad_platform.specs import Json
from ad_workers.predicting.rows import Prediction, csv_header, csv_line, json_line
from ad_workers.predicting.writing import placing, sync_folder, trouble

NAME = "scores.jsonl"
TABLE = "scores.csv"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A result of a watch: what became of a file, of which content, by which model."""

    prediction: Prediction
    threshold: float | None
    model: str
    at: str  # when it was scored: UTC, as 2031-05-17T08:30:00Z
    stamp: str  # what the system said of the file then, as hex; another one may be another content
    sha256: str  # of the file's content, hex; "" where it could not be read

    @property
    def line(self) -> str:
        """Return it as one line of JSON, without its end."""
        more: dict[str, Json] = {"model": self.model, "at": self.at, "stamp": self.stamp}
        return json_line(self.prediction, self.threshold, {**more, "sha256": self.sha256})

    @property
    def row(self) -> str:
        """Return it as a row of CSV, without its end."""
        return csv_line(self.prediction, self.threshold)


class Known:
    """Which files were scored, and with which content: some 200 bytes for each, however long its name."""

    def __init__(self) -> None:
        self._files: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._files)

    def add(self, path: str, stamp: str, sha256: str) -> None:
        """Remember a file as it is now."""
        self._files[_key(path)] = bytes.fromhex(stamp) + bytes.fromhex(sha256)[:16]

    def unchanged(self, path: str, stamp: str) -> bool:
        """Say whether a file looks as it did when it was scored."""
        return self._files.get(_key(path), b"")[:STAMP] == bytes.fromhex(stamp)

    def same(self, path: str, sha256: str) -> bool:
        """Say whether a file has the content that was scored."""
        return bool(sha256) and self._files.get(_key(path), b"")[STAMP:] == bytes.fromhex(sha256)[:16]


STAMP = 8  # bytes


def stamp_of(status: os.stat_result) -> str:
    """Return what tells a file from what it was: size, times, and which file it is on the disk."""
    facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return hashlib.blake2b(repr(facts).encode(), digest_size=STAMP).hexdigest()


class Journal:
    """The file of results in the folder of a watch, and the table that follows it."""

    def __init__(self, folder: Path, *, table: bool) -> None:
        """Read what is there, cut off a last line that was never finished, and go on behind it.

        Raises InvalidRequest for a file that is no journal, DiskFull and Unavailable where none can be
        written.
        """
        self.path, self.known, self.last_model = folder / NAME, Known(), ""
        self._table = folder / TABLE if table else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            try:
                self._end = self._read()
                self._file.truncate(self._end)
                self._follow()
            except BaseException:
                self._file.close()
                raise
            sync_folder(folder)
        except OSError as error:
            raise trouble(self.path, error) from error

    def add(self, entries: Sequence[Entry]) -> None:
        """Append results and return once they are on the disk: all of them, or none is remembered.

        Raises DiskFull and Unavailable; the file is then as it was.
        """
        content = "".join(f"{entry.line}\n" for entry in entries).encode()
        try:
            _write_all(self._file.fileno(), content)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._end)
            raise trouble(self.path, error) from error
        self._end += len(content)
        for entry in entries:
            self.known.add(entry.prediction.path, entry.stamp, entry.sha256)
        if self._table is not None:
            _append(self._table, [entry.row for entry in entries])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> int:
        """Take in every whole line, and return where they end."""
        end = 0
        for number, line in enumerate(_lines(self.path), 1):
            if not line.endswith(b"\n"):
                break
            value = self._value(line, number)
            self.known.add(str(value["path"]), str(value["stamp"]), str(value["sha256"]))
            self.last_model = str(value["model"])
            end += len(line)
        return end

    def _value(self, line: bytes, number: int) -> Mapping[str, Json]:
        try:
            value: Mapping[str, Json] = json.loads(line)
            bytes.fromhex(str(value["stamp"]) + str(value["sha256"]))
            Prediction.from_json(value)
            value["model"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRequest(
                f"line {number} of {self.path} was not written by a watch, or is damaged; choose another "
                "folder for --out, or move that file away: all is then scored again"
            ) from error
        return value

    def _follow(self) -> None:
        """Write the table anew from the journal: what was appended to it last may not be on the disk."""
        if self._table is None:
            return
        with placing(self._table) as begun, begun.open("wb") as output:
            output.write(f"{csv_header()}\n".encode())
            for number, line in enumerate(_lines(self.path), 1):
                value = self._value(line, number)
                threshold = value.get("threshold")
                cut = float(threshold) if isinstance(threshold, int | float) else None
                row = csv_line(Prediction.from_json(value), cut)
                output.write(f"{row}\n".encode("utf-8", "surrogateescape"))


def _key(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _append(path: Path, rows: Sequence[str]) -> None:
    content = "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")
    try:
        with path.open("ab", buffering=0) as file:
            _write_all(file.fileno(), content)
    except OSError as error:
        raise trouble(path, error) from error


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
