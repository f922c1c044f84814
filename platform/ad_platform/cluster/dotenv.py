"""The file .env of a cluster: its settings and its secrets, for its owner's eyes alone."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import Conflict, InvalidData, InvalidValue

NAME = ".env"
MODE = 0o600
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_SECRET = re.compile(r".*_PASSWORD")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")  # it becomes part of addresses


def make_secret() -> str:
    """Return 192 random bits as letters and digits."""
    return secrets.token_hex(24)


def is_secret(name: str) -> bool:
    """Say whether a variable holds a secret."""
    return _SECRET.fullmatch(name) is not None


def parse(text: str) -> dict[str, str]:
    """Return the variables of such a file; the last of a name counts."""
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            value = match[2].strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            found[match[1]] = value[1:-1] if quoted else value
    return found


def read(folder: Path) -> dict[str, str]:
    """Return the variables of a cluster; raise InvalidData where there is no such file."""
    try:
        found = parse((folder / NAME).read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidData(f"there is no {folder / NAME}; make one: adctl cluster init {folder}") from error
    except UnicodeDecodeError as error:
        raise InvalidData(f"{folder / NAME} is no text") from error
    for name, value in found.items():
        if is_secret(name) and value and not _PLAIN.fullmatch(value):
            raise InvalidValue(f"{name} in {folder / NAME} may have letters, digits, _ and - alone")
    return found


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The text of a .env, and what is new in it."""

    text: str
    fresh: tuple[str, ...]  # secrets that were made up
    kept: tuple[str, ...]  # secrets that were there


def fill(
    example: str,
    known: Mapping[str, str],
    chosen: Mapping[str, str],
    *,
    rotate: bool,
    make: Callable[[], str] = make_secret,
) -> Filled:
    """Return the example with values: those chosen now, else those known, else fresh secrets or its own."""
    lines, fresh, kept, named = list[str](), list[str](), list[str](), set[str]()
    for line in example.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            lines.append(line)
            continue
        name, value = match[1], match[2]
        named.add(name)
        if is_secret(name):
            old = known.get(name, "")
            value = old if old and not rotate else make()
            (kept if old and not rotate else fresh).append(name)
        else:
            value = chosen.get(name, known.get(name, value))
        lines.append(f"{name}={value}")
    own = [f"{name}={value}" for name, value in known.items() if name not in named]
    if own:
        lines += ["", "# Yours.", *own]
    return Filled(text="\n".join(lines) + "\n", fresh=tuple(fresh), kept=tuple(kept))


def write_private(place: Path, text: str, *, replace: bool) -> None:
    """Write a file that nobody else can read at any time, whole or not at all.

    Raises Conflict if it is there and is not to be replaced.
    """
    if not replace and os.path.lexists(place):
        raise Conflict(
            f"{place} exists; --force keeps its secrets and adds what is new, --rotate makes others"
        )
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(handle, "w") as file:
            os.fchmod(file.fileno(), MODE)  # whatever the mask says
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(place)
        else:
            os.link(temporary, place)  # fails where somebody was quicker
    except FileExistsError as error:
        raise Conflict(f"{place} exists; --force keeps its secrets and adds what is new") from error
    finally:
        temporary.unlink(missing_ok=True)
