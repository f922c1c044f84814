"""Lays out rows under headers: columns of fixed width on a terminal, nothing cut where a program reads."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

GAP = "  "
LEAST = 6  # a column with less room than this says nothing and is left out
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    width: int = 0  # the same whatever it holds; 0 is as wide as its widest cell
    takes_rest: bool = False  # what is left of the line; for the last column
    cut: Callable[[str, int], str] | None = None  # how a long cell is cut; its end, unless told
    colour: Callable[[str], str] | None = None  # the colour of a cell, "" for none


def painted(words: str, colour: str) -> str:
    """Return words in a colour for a terminal; "" is no colour."""
    return f"\x1b[{CODES[colour]}m{words}\x1b[0m" if colour else words


def width_of(words: str) -> int:
    """Return how many columns of a terminal words take."""
    if words.isascii():
        return len(words)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in words
    )


def cut(words: str, limit: int) -> str:
    """Return words that take at most so many columns of a terminal, with a mark where the end is missing."""
    if width_of(words) <= limit:
        return words
    while words and width_of(words) > limit - 1:
        words = words[:-1]
    return words + "…" if limit > 0 else ""


def one_line(words: str) -> str:
    """Return words with nothing in them that moves a terminal's cursor or changes its colours."""
    return words if words.isprintable() else "".join(c if c.isprintable() else " " for c in words)


def layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], limit: int = 0, *, coloured: bool = False
) -> Iterator[str]:
    """Yield the lines of a table; with a limit none is longer, and the columns stand still."""
    clean = [[one_line(cell) for cell in row] for row in rows]
    widths = _widths(columns, clean, limit)
    for number, row in enumerate([[column.name for column in columns], *clean]):
        yield _line(columns, widths, row, limit, header=number == 0, coloured=coloured)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], limit: int) -> list[int]:
    """Return the width of each column that is shown, from the left."""
    widest = [
        max(width_of(cells) for cells in (column.name, *(row[number] for row in rows)))
        for number, column in enumerate(columns)
    ]
    if not limit:
        return [max(column.width, most) for column, most in zip(columns, widest, strict=True)]
    widths: list[int] = []
    for column, most in zip(columns, widest, strict=True):
        used = sum(widths) + len(GAP) * len(widths)
        if column.takes_rest and limit - used < LEAST:
            break
        widths.append(limit - used if column.takes_rest else column.width or most)
    return widths


def _line(
    columns: Sequence[Column],
    widths: Sequence[int],
    row: Sequence[str],
    limit: int,
    *,
    header: bool,
    coloured: bool,
) -> str:
    cells, room = [], limit
    for column, width, cell in zip(columns, widths, row, strict=False):
        if limit:
            width = min(width, room)
            room -= width + len(GAP)
            cell = (column.cut or cut)(cell, width) if width_of(cell) > width else cell
        colour = "bold" if header else column.colour(cell) if column.colour else ""
        shown = painted(cell, colour) if coloured and cell else cell
        cells.append(shown + " " * (width - width_of(cell)))
        if limit and room <= 0:
            break
    return GAP.join(cells).rstrip()
