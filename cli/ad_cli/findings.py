"""How what a doctor found is shown: a line each, or JSON; many of one kind on a few lines."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ad_cli import out
from ad_platform.doctor.findings import Finding, Level

if TYPE_CHECKING:
    from ad_platform.doctor.mending import Attempted, Mended
    from ad_platform.specs import Json

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red", "mended": "green", "failed": "red"}
SHOWN = 3  # of one kind
INDENT = 22  # columns before the words


def show(found: Sequence[Finding], mended: "Mended") -> None:
    """Print what was found, what was mended and what could not be."""
    left = [*found, *mended.found]
    if out.quiet():
        left = [finding for finding in left if finding.level is Level.PROBLEM]
    if out.as_json():
        tried = {each.finding.identity: each for each in mended.attempted}
        gone = [] if out.quiet() else [each for each in mended.attempted if each.fixed]
        out.data(
            [
                *(_json(finding, tried.get(finding.identity)) for finding in left),
                *(_json(each.finding, each) for each in gone),
            ]
        )
        return
    for level, about, words in _lines(left):
        _say(level, about, words)
    if not out.quiet():
        for level, about, words in _outcomes(mended.attempted):
            _say(level, about, words)


def told_once() -> Callable[[Finding], None]:
    """Return what says of the first finding of each kind what is being done: it may take a while."""
    told: set[str] = set()

    def tell(finding: Finding) -> None:
        kind, _ = finding.identity
        if kind not in told and finding.mending is not None:
            told.add(kind)
            out.note(f"{kind}: {finding.mending.words} ...")

    return tell


def summary(problems: int, warnings: int, mended: "Mended", *, fixing: bool) -> str:
    """Return how much is left, and what can be done about it."""
    said = f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}"
    fixed = sum(each.fixed for each in mended.attempted)
    if fixing:
        return f"{said}; {fixed} mended, {len(mended.attempted) - fixed} could not be"
    fixable = sum(finding.mending is not None for finding in mended.found)
    return f"{said}; {fixable} can be mended: adctl doctor --fix" if fixable else said


def _lines(found: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    for _, group in groupby(found, key=lambda finding: (finding.level, finding.about, finding.kind)):
        same = list(group)
        # Findings without a kind are of things that cannot be many.
        shown = same if not same[0].kind or len(same) <= SHOWN + 1 else same[:SHOWN]
        for finding in shown:
            yield finding.level.value, finding.about, "; ".join(filter(None, (finding.words, finding.advice)))
        if len(shown) < len(same):
            more = f"and {len(same) - len(shown)} more like these ({same[0].kind}; all of them with --json)"
            yield same[0].level.value, same[0].about, more


def _outcomes(attempted: "Sequence[Attempted]") -> Iterator[tuple[str, str, str]]:
    ordered = sorted(attempted, key=lambda each: each.finding.identity[0])
    for (kind, fixed), group in groupby(ordered, key=lambda each: (each.finding.identity[0], each.fixed)):
        same = list(group)
        shown = same if len(same) <= SHOWN + 1 else same[:SHOWN]
        level = "mended" if fixed else "failed"
        for each in shown:
            yield level, each.finding.about, f"{kind} {each.finding.subject}: {each.said}".replace(" :", ":")
        if len(shown) < len(same):
            yield level, same[0].finding.about, f"and {len(same) - len(shown)} more of {kind}"


def _say(level: str, about: str, words: str) -> None:
    head = f"{out.in_colour(f'{level:<7}', COLOURS[level])}  {about:<11}  "
    columns = out.width()
    if columns <= INDENT + 20:  # no terminal, or a very narrow one
        out.text(head + words)
        return
    first, *rest = textwrap.wrap(words, columns - INDENT, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    out.text(head + first)
    for line in rest:
        out.text(" " * INDENT + line)


def _json(finding: Finding, tried: "Attempted | None") -> "Json":
    return {
        "level": finding.level.value,
        "about": finding.about,
        "kind": finding.kind or finding.about,
        "subject": finding.subject,
        "words": finding.words,
        "remedy": finding.advice,
        "fixable": finding.mending is not None,
        "fixed": tried is not None and tried.fixed,
        "said": tried.said if tried is not None else "",
    }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
