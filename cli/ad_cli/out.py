"""The only place that prints: data to stdout, words to stderr; JSON, or plain text of stable width."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ad_platform.redaction import redacted

if TYPE_CHECKING:
    from ad_cli.tables import Column
    from ad_platform.specs import Json

LONGEST = 700  # characters of an error; what to do stands at its end
FALLBACK_WIDTH = 80  # of a terminal that does not say


@dataclass
class Mode:
    """How this call of adctl prints."""

    json: bool = False
    quiet: bool = False


_mode = Mode()


def reset() -> None:
    """Start a call of adctl with the plain way of printing."""
    _mode.json = _mode.quiet = False


def _use_json(value: bool) -> bool:
    _mode.json = _mode.json or value
    return value


def _use_quiet(value: bool) -> bool:
    _mode.quiet = _mode.quiet or value
    return value


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON to stdout.", callback=_use_json, show_default=False)
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print the least: ids only, no notes.", callback=_use_quiet, show_default=False
    ),
]


def as_json() -> bool:
    """Say whether JSON was asked for."""
    return _mode.json


def quiet() -> bool:
    """Say whether as little as possible was asked for."""
    return _mode.quiet


def lively() -> bool:
    """Say whether stderr is a terminal that may be redrawn and coloured."""
    return sys.stderr.isatty() and _colours_wanted()


def colourful() -> bool:
    """Say whether stdout is a terminal that may be coloured."""
    return sys.stdout.isatty() and _colours_wanted()


def _colours_wanted() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def in_colour(words: str, colour: str) -> str:
    """Return words in a colour if stdout shows colours; "" is none."""
    from ad_cli.tables import painted

    return painted(words, colour) if colourful() else words


def width() -> int:
    """Return how many columns the terminal has that stdout is; 0 where it is none."""
    return shutil.get_terminal_size((FALLBACK_WIDTH, 24)).columns if sys.stdout.isatty() else 0


def data(value: Json) -> None:
    """Print one JSON value."""
    _write(json.dumps(value, indent=2, ensure_ascii=False))


def line(value: Json) -> None:
    """Print one JSON value on one line, at once: a stream of them can be read as it grows."""
    _write(json.dumps(value, ensure_ascii=False))


def text(words: str) -> None:
    """Print data as text."""
    _write(words)


def raw(content: bytes) -> None:
    """Print bytes as they are: what a job has written."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(content.decode(errors="replace"))
    else:
        sys.stdout.flush()
        buffer.write(content)
    sys.stdout.flush()


def note(words: str) -> None:
    """Say something to the person, unless asked to be quiet."""
    if not _mode.quiet:
        sys.stderr.write(redacted(words) + "\n")
        sys.stderr.flush()


def warn(words: str) -> None:
    """Say what may be in the way; said even when quiet."""
    sys.stderr.write(f"warning: {redacted(words)}\n")
    sys.stderr.flush()


def error(words: str) -> None:
    """Say why nothing could be done, in one line."""
    # The pipe may be what broke; there is nobody left to tell then.
    with suppress(OSError):
        sys.stderr.write(f"error: {_one_line(redacted(words))}\n")
        sys.stderr.flush()


def table(headers: Sequence[str | Column], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Print rows under headers, no line wider than the terminal."""
    from ad_cli.tables import Column, layout

    if not rows:
        if empty:
            note(empty)
        return
    columns = [Column(name=header) if isinstance(header, str) else header for header in headers]
    for words in layout(columns, rows, width(), coloured=colourful()):
        _write(words)


def pairs(values: Mapping[str, str], colours: Mapping[str, str] | None = None) -> None:
    """Print names and values, one pair a line; `colours` are those of some values, by name."""
    from ad_cli.tables import one_line

    widest = max((len(name) for name in values), default=0)
    for name, value in values.items():
        shown = in_colour(one_line(value).rstrip(), (colours or {}).get(name, ""))
        _write(f"{name.ljust(widest)}  {shown}".rstrip())


def _one_line(words: str) -> str:
    """Return words that fit one line: nothing that moves the cursor, and of very many the middle left out."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in " ".join(words.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 200]} … {line[-190:]}"


def _write(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
