"""Run files: what a training was asked for with, as YAML that asks for the same training again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ad_platform import catalogue, durations, holdout, memory, planning
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.naming import match
from ad_platform.records import Job
from ad_platform.specs import JobSpec, Json
from ad_platform.wishes import DataWish, Wish, wish_of
from ad_platform.yaml_file import Entry, Place, read

HEADING = "# adctl submit train --config FILE asks for this again; what an option says goes before it.\n"
TEXTS = ("detector", "preset", "device", "holdout", "name", "group", "queue")
NUMBERS: Mapping[str, tuple[int, int]] = {
    "seed": (0, 2**63 - 1),
    "checkpoint_every": (1, 2**31),
    "threads": (1, 4096),
    "priority": (-100, 100),
    "max_attempts": (1, 1000),
    "gpus": (1, 1024),
}
DATA = ("dataset", "category", "path", "fingerprint")
NAMES = (
    *("detector", "preset", "data", "seed", "device", "holdout", "checkpoint_every", "threads", "evaluate"),
    *("name", "tags", "group", "queue", "priority", "max_attempts", "timeout"),
    *("gpus", "memory", "preemptible"),
    "settings",
)
# What somebody may write who knows the options better than the file.
ELSEWHERE = {
    "model": "detector",
    "config": "settings",
    "tag": "tags",
    "imgsz": "image_size, below settings",
    "image_size": "image_size, below settings",
    "dataset": "dataset, below data",
    "category": "category, below data",
    "path": "path, below data",
}


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """What a file asks for, and the place of each thing in it."""

    file: str
    wish: Wish
    places: Mapping[str, Place]  # by names such as "seed", "data.path", "settings.w"

    @contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """Say the line of a name along with what turns out to be wrong with it."""
        try:
            yield
        except InvalidRequest as error:
            raise InvalidValue(f"{self.places.get(name, self.file)}: {error}") from error

    def checked(self, entry: catalogue.DetectorEntry) -> Wish:
        """Return the wish with the names of its settings as the detector has them; raise InvalidValue."""
        wish, base = self.wish, dict[str, Json]()
        if wish.preset is not None:
            with self.blamed("preset"):
                catalogue.preset_name(entry, wish.preset)
        for name, value in wish.base.items():
            with self.blamed(f"settings.{name}"):
                known, read_as = catalogue.setting(entry, name, value)
                if known in base:
                    raise InvalidValue(f"'{known}' stands there twice")
                base[known] = read_as
        return replace(wish, base=base)


def dump(asked: Job | JobSpec) -> str:
    """Return the run file of a train job, or of its spec alone; raise InvalidRequest for another kind."""
    wish = wish_of(asked)
    data = wish.data
    whole: dict[str, Json] = {
        name: getattr(wish, name) for name in NAMES if name not in {"data", "settings", "memory"}
    }
    whole |= {"tags": dict(wish.tags) or None, "evaluate": None}
    whole["memory"] = None if wish.memory_mb is None else memory.words(wish.memory_mb)
    whole["timeout"] = None if wish.timeout is None else durations.exact(wish.timeout)
    whole["data"] = {name: getattr(data, name) for name in DATA}
    whole["settings"] = dict(wish.base)
    # Through JSON: YAML would write a list that is there twice as a reference to the first.
    said = json.loads(json.dumps({name: whole[name] for name in NAMES if whole[name] is not None}))
    return HEADING + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=10_000)


def load(path: Path) -> RunFile:
    """Read a run file; raise InvalidRequest that names file and line. "-" is the standard input."""
    top = _known(read(path), NAMES, "name of a run file", ELSEWHERE)
    places = {name: entry.place for name, entry in top.items()}
    values: dict[str, Any] = {}
    for name, entry in top.items():
        if entry.value is None:
            continue
        if name in TEXTS:
            values[name] = _word(name, entry)
        elif name in NUMBERS:
            values[name] = _number(name, entry)
        elif name == "timeout":
            values[name] = _time(entry)
        elif name == "memory":
            values["memory_mb"] = _amount(entry)
        elif name in ("evaluate", "preemptible"):
            values[name] = _flag(name, entry)
        elif name == "tags":
            values[name] = {tag: _word(f"tag '{tag}'", each) for tag, each in _below(name, entry).items()}
        elif name == "data":
            values[name], found = _data(path, entry)
            places |= {f"data.{each}": place for each, place in found.items()}
        else:
            below = _below(name, entry)
            values["base"] = {each: inner.value for each, inner in below.items()}
            places |= {f"settings.{each}": inner.place for each, inner in below.items()}
    file = RunFile(file=str(path), wish=Wish(**values), places=places)
    _check(file)
    return file


def _check(file: RunFile) -> None:
    """Check what needs no detector."""
    wish = file.wish
    checks: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
        ("device", wish.device, planning.gpus),
        ("holdout", wish.holdout, holdout.canonical),
        ("queue", wish.queue, planning.check_queue),
    )
    for name, text, check in checks:
        if text is not None:
            with file.blamed(name):
                check(text)


def _known(
    entries: Mapping[str, Entry], names: tuple[str, ...], what: str, elsewhere: Mapping[str, str]
) -> dict[str, Entry]:
    """Return entries by their right names; raise InvalidValue for one that is none, or is there twice."""
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        try:
            known = match(what, name.replace("-", "_"), names)
        except UnknownName as error:
            hint = elsewhere.get(name.lower())
            said = f"no {what} is '{name}'; it is called {hint}" if hint else str(error)
            more = (
                "; settings of the detector stand below 'settings'"
                if not hint and "settings" in names
                else ""
            )
            raise InvalidValue(f"{entry.place}: {said}{more}") from error
        if known in found:
            raise InvalidValue(f"{entry.place}: '{known}' stands there twice")
        found[known] = entry
    return found


def _data(path: Path, entry: Entry) -> tuple[DataWish, dict[str, Place]]:
    """Return which images a file names; a folder is looked for from where the file lies."""
    if entry.entries is None:
        return DataWish(path=_folder(path, _word("data", entry))), {"path": entry.place}
    below = _known(entry.entries, DATA, "name below data", {})
    said = {name: _word(name, each) for name, each in below.items() if each.value is not None}
    if "path" in said:
        said["path"] = _folder(path, said["path"])
    return DataWish(**said), {name: each.place for name, each in below.items()}


def _folder(file: Path, text: str) -> str:
    folder = Path(text).expanduser()
    return str(folder) if folder.is_absolute() else str(file.absolute().parent / folder)


def _below(name: str, entry: Entry) -> Mapping[str, Entry]:
    if entry.entries is None:
        raise InvalidValue(
            f"{entry.place}: {name} must be lines of 'name: value' below it, not {_shown(entry)}"
        )
    return entry.entries


def _word(name: str, entry: Entry) -> str:
    if entry.text is None or entry.value is None:
        raise InvalidValue(f"{entry.place}: {name} must be a text, not {_shown(entry)}")
    return entry.text


def _number(name: str, entry: Entry) -> int:
    low, high = NUMBERS[name]
    value = entry.value
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{entry.place}: {name} must be a whole number, not {_shown(entry)}")
    if not low <= value <= high:
        raise InvalidValue(f"{entry.place}: {name} must be from {low} to {high}, not {value}")
    return value


def _time(entry: Entry) -> float:
    text = _word("timeout", entry)
    try:
        return durations.seconds(text)
    except InvalidValue as error:
        raise InvalidValue(f"{entry.place}: timeout: {error}") from error


def _amount(entry: Entry) -> int:
    text = _word("memory", entry)
    try:
        return memory.megabytes(text)
    except InvalidValue as error:
        raise InvalidValue(f"{entry.place}: memory: {error}") from error


def _flag(name: str, entry: Entry) -> bool:
    if not isinstance(entry.value, bool):
        raise InvalidValue(f"{entry.place}: {name} must be true or false, not {_shown(entry)}")
    return entry.value


def _shown(entry: Entry) -> str:
    if entry.entries is not None:
        return "names and values"
    return "a list" if isinstance(entry.value, list) else f"'{entry.text}'"
