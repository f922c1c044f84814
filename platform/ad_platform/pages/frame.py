"""The frame of a page, one HTML file that asks nobody for anything, and the small parts it is made of.

Pages are read by people who see well or badly, on a phone, on paper, with a keyboard alone: one `h1`,
headings in order, a link past the navigation, names for what scrolls, colours of the style sheet alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
GENERATOR = "adctl report"  # by which a page of ours is known from other files
# The browser itself refuses whatever a page would load from elsewhere.
_CLOSED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SCRIPTED = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval' blob:"
)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A figure that stands out, with what it is and how to read it."""

    title: str
    value: str
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Something to know; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of a page: its heading, its content as HTML, and the name that links to it."""

    title: str
    html: str
    link: str = ""  # in the navigation; "" for the heading itself

    @property
    def anchor(self) -> str:
        """Return the name by which it is linked to."""
        return anchor(self.link or self.title)


def document(
    title: str, head: str, parts: Sequence[Part], *, style: str = "", scripts: Sequence[str] = ()
) -> str:
    """Return a page: a head with its `h1`, and its parts. `style` comes after the common one.

    A page without scripts has dark colours too, for whoever prefers them.
    """
    links = "".join(f'<a href="#{part.anchor}">{escape(part.link or part.title)}</a>' for part in parts)
    dark = "" if scripts else read("dark.css")
    sections = "".join(_section(part) for part in parts)
    ends = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_SCRIPTED if scripts else _CLOSED}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="{GENERATOR}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{read('style.css')}{dark}{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'<nav aria-label="On this page">{links}</nav>\n'
        f'<main id="content" tabindex="-1">\n{head}{sections}</main>\n{ends}</body>\n</html>\n'
    )


def read(name: str, folder: Path = HERE) -> str:
    """Return a file that belongs to pages."""
    return (folder / name).read_text(encoding="utf-8")


def anchor(title: str) -> str:
    """Return a name for a part that a link can hold."""
    return "-".join("".join(char if char.isalnum() else " " for char in title.lower()).split())


def heading(kind: str, title: str, state: str = "", words: str = "") -> str:
    """Return the head of a page: what kind of page, its `h1` with a state, and a line of words."""
    mark = f' <span class="state {escape(state)}">{escape(state)}</span>' if state else ""
    line = f"<p>{escape(words)}</p>" if words else ""
    return f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}{mark}</h1>{line}</header>\n'


def tiles(found: Iterable[Tile]) -> str:
    """Return figures that stand out."""
    each = "".join(
        f'<div class="tile"><p class="name">{escape(tile.title)}</p><p class="value">{escape(tile.value)}</p>'
        f'<p class="words">{escape(tile.words)}</p></div>'
        for tile in found
    )
    return f'<div class="tiles">{each}</div>\n' if each else ""


def sentences(found: Iterable[Sentence]) -> str:
    """Return what there is to know, a paragraph each."""
    return "".join(
        f'<p class="{"warning" if each.warning else "say"}">{escape(each.text)}</p>\n' for each in found
    )


def pairs(values: Iterable[tuple[str, str]], *, code: bool = False) -> str:
    """Return names with values as a table; of code the values are set as such."""
    mark = ("<code>", "</code>") if code else ("", "")
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{mark[0]}{escape(value)}{mark[1]}</td></tr>'
        for name, value in values
    )
    return f'<table class="pairs"><tbody>{rows}</tbody></table>\n'


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    label: str,
    numbers: int = 0,
    command: bool = False,
) -> str:
    """Return a table of texts that scrolls sideways where it must.

    The last `numbers` columns are numbers, or the last one is a `command` to be typed.
    """
    first_number = len(headers) - numbers
    kinds = ["" if place < first_number else ' class="number"' for place in range(len(headers))]
    marks = [("", "")] * len(headers)
    if command:
        marks[-1] = ('<code class="together">', "</code>")
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(headers, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{before}{escape(cell)}{after}</td>"
            for cell, kind, (before, after) in zip(row, kinds, marks, strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    return scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>", label)


def scrolling(html: str, label: str, *, tall: bool = False) -> str:
    """Return content that may be wider than a phone or taller than is handy; a keyboard can scroll it."""
    kind = "scroll tall" if tall else "scroll"
    return f'<div class="{kind}" role="region" aria-label="{escape(label)}" tabindex="0">{html}</div>\n'


def folded(summary: str, html: str) -> str:
    """Return content that is shown when asked for; printed it is always shown."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>\n"


def _section(part: Part) -> str:
    name = part.anchor
    title = f'<h2 id="{name}-title">{escape(part.title)}</h2>\n'
    return f'<section id="{name}" aria-labelledby="{name}-title">{title}{part.html}</section>\n'
