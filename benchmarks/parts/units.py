"""Units of a long measurement in one JSON file, each written when done; processes may share the file."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from parts.paired import Run


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What one fit and the scoring of its test pictures came to."""

    seconds: float
    cpu_seconds: float
    losses: list[float]
    run: Run


class Units:
    """The units of one measurement; `about` says of which, and another one's file is refused."""

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self.file, self.about = file, dict(about)
        found = self._read()["about"]
        if found != self.about:
            raise SystemExit(f"{file} is of another measurement ({found}); name another file")

    def done(self) -> dict[str, Unit]:
        """Return the units that are there, by name."""
        return {name: _unit(each) for name, each in self._read()["units"].items()}

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Say whether a unit is this process's to do: it is missing, and no other process is at it."""
        lock = FileLock(self.file.with_name(f"{self.file.stem}-{name.replace('/', '-')}.lock"), timeout=0)
        try:
            with lock:
                yield name not in self.done()
        except Timeout:
            yield False

    def add(self, name: str, unit: Unit) -> None:
        """Write one more, whole or not at all."""
        with FileLock(self.file.with_suffix(".lock")):
            everything = self._read()
            everything["units"][name] = _record(unit)
            begun = self.file.with_suffix(".tmp")
            begun.write_text(json.dumps(everything))
            begun.replace(self.file)

    def _read(self) -> dict[str, Any]:
        if not self.file.exists():
            return {"about": self.about, "units": {}}
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found


def _record(unit: Unit) -> dict[str, Any]:
    return {
        "seconds": unit.seconds,
        "cpu_seconds": unit.cpu_seconds,
        "losses": unit.losses,
        "scores": _packed(unit.run.scores),
        "maps": _packed(unit.run.maps),
    }


def _unit(record: Mapping[str, Any]) -> Unit:
    return Unit(
        seconds=record["seconds"],
        cpu_seconds=record["cpu_seconds"],
        losses=record["losses"],
        run=Run(_unpacked(record["scores"]), _unpacked(record["maps"])),
    )


def _packed(array: NDArray[np.float32]) -> dict[str, Any]:
    return {"shape": array.shape, "float32": base64.b64encode(array.tobytes()).decode()}


def _unpacked(packed: Mapping[str, Any]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(packed["float32"]), np.float32).reshape(packed["shape"])
