"""Reads a YAML file that a person wrote, so that whatever is wrong with it can be said with its line."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import yaml

from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.specs import Json

LIMIT = 1_000_000  # bytes
_READ = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A value in a file, and where it stands."""

    place: Place
    value: Json
    text: str | None = None  # as it is written, of anything but a list or mapping
    entries: "Mapping[str, Entry] | None" = None  # of a mapping


def read(path: Path) -> Mapping[str, Entry]:
    """Return what a file holds ("-" is the standard input); raise InvalidRequest that names file and line."""
    file, text = _text(path)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        top = None if node is None else _entry(file, node, loader, set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidValue(
            f"{file}, line {line}: this is no YAML: {error.problem or error.context}"
        ) from error
    except yaml.YAMLError as error:
        raise InvalidValue(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise InvalidValue(f"{file} is nested too deeply") from None
    finally:
        loader.dispose()
    if top is None or top.value is None:
        raise InvalidValue(f"{file} is empty; print one to start from with: adctl show JOB --config")
    if top.entries is None:
        raise InvalidValue(f"{top.place}: expected lines such as 'detector: NAME', not {_kind(top)}")
    return top.entries


def _text(path: Path) -> tuple[str, str]:
    if str(path) == "-":
        return "the standard input", sys.stdin.read(LIMIT)
    try:
        if path.is_file() and path.stat().st_size > LIMIT:
            raise InvalidValue(f"{path} is no run file: it has more than {LIMIT // 1_000_000} MB")
        content = path.read_bytes()
    except FileNotFoundError:
        raise InvalidRequest(f"{path} does not exist{_nearest(path)}") from None
    except IsADirectoryError:
        raise InvalidRequest(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path} is no text: its byte {error.start + 1} is not UTF-8") from error
    return str(path), text


def _nearest(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()]
    except OSError:
        return f", nor does its folder {path.parent}" if not path.parent.is_dir() else ""
    near = get_close_matches(path.name, names, n=3)
    return f"; did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""


def _entry(file: str, node: yaml.Node, loader: yaml.SafeLoader, seen: set[int]) -> Entry:
    place = Place(file=file, line=node.start_mark.line + 1)
    # What is written twice by reference can grow without bound, and nothing here is worth it.
    if id(node) in seen:
        raise InvalidValue(f"{place}: an anchor is used again; write the value out, aliases are not read")
    seen.add(id(node))
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        raise InvalidValue(f"{place}: the tag '{node.tag}' is not read; write the plain value")
    if isinstance(node, yaml.MappingNode):
        entries = _entries(file, node, loader, seen)
        return Entry(place=place, value={name: each.value for name, each in entries.items()}, entries=entries)
    if isinstance(node, yaml.SequenceNode):
        items = [_entry(file, each, loader, seen) for each in cast("Sequence[yaml.Node]", node.value)]
        return Entry(place=place, value=[each.value for each in items])
    return Entry(place=place, value=_scalar(node, loader), text=str(node.value))


def _entries(file: str, node: yaml.MappingNode, loader: yaml.SafeLoader, seen: set[int]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key, value in cast("Sequence[tuple[yaml.Node, yaml.Node]]", node.value):
        place = Place(file=file, line=key.start_mark.line + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidValue(f"{place}: a name must be a plain word")
        name = str(key.value)
        if name in found:
            raise InvalidValue(
                f"{place}: '{name}' stands there twice, first in line {found[name].place.line}"
            )
        found[name] = _entry(file, value, loader, seen)
        found[name] = Entry(**{**vars(found[name]), "place": place})
    return found


def _scalar(node: yaml.Node, loader: yaml.SafeLoader) -> Json:
    """Return null, truth or a number; whatever else YAML would make of a word (a date) stays the word."""
    if node.tag not in _READ:
        return str(node.value)
    value: Json = loader.construct_object(node)
    # JSON has neither infinity nor NaN.
    return str(node.value) if isinstance(value, float) and not abs(value) < float("inf") else value


def _kind(entry: Entry) -> str:
    return "a list" if isinstance(entry.value, list) else f"'{entry.text}'"
