"""Plots as inline SVG: sharp at any size, coloured by the page's style, and told in words to who cannot see.

A plot is small enough that its letters can be read at the width of a phone. What belongs to which line is
told by dashes too, not by colours alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 400, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 46
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "1 2")  # by look
LOOKS = len(DASHES)

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis shows, from where to where."""

    label: str
    low: float = 0.0
    high: float = 1.0
    mirrored: bool = False  # whether what is below 0 counts downwards


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points."""

    name: str
    points: Sequence[Point]
    look: int = 0  # which colour and dashes; 0 is the first
    strong: bool = False  # in ink and thick: what the plot is about
    named: bool = True  # in the legend


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A place that stands out."""

    name: str
    at: Point


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A line across the whole plot at a value of the lower axis."""

    name: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Bars side by side, upwards or downwards from 0."""

    name: str
    edges: Sequence[float]  # one more than there are heights
    heights: Sequence[float]
    look: int = 0
    filled: bool = True  # or an outline


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot with its heading and what it says, in words."""

    title: str
    words: str
    across: Axis
    up: Axis
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    rules: Sequence[Rule] = ()
    bars: Sequence[Bars] = ()


def figure(plot: Plot, name: str) -> str:
    """Return a plot as a figure with heading, words and legend; `name` is unique in its page."""
    return (
        f'<figure class="chart"><h3>{escape(plot.title)}</h3>{_svg(plot, name)}'
        f"<figcaption>{_legend(plot)}<p>{escape(plot.words)}</p></figcaption></figure>\n"
    )


def figures(plots: Sequence[Plot], prefix: str) -> str:
    """Return several plots side by side where there is room."""
    each = "".join(figure(plot, f"{prefix}-{number}") for number, plot in enumerate(plots, 1))
    return f'<div class="charts">{each}</div>\n'


def span(values: Sequence[float], zero: bool = False) -> tuple[float, float]:
    """Return the ends of an axis for values: with some room, also where all are equal."""
    known = [value for value in values if isfinite(value)] or [0.0, 1.0]
    low, high = min([*known, *([0.0] if zero else [])]), max(known)
    room = (high - low) * 0.04 or abs(high) * 0.05 or 0.5
    return (0.0 if zero and low >= 0 else low - room, high + room)


def averaged(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most so many points: those of a longer curve averaged in equally long stretches."""
    if len(points) <= most:
        return list(points)
    cuts = [round(place * len(points) / most) for place in range(most + 1)]
    parts = [points[start:end] for start, end in pairwise(cuts)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts if part
    ]


def ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round values within an axis, with their texts: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [(low, _text(low, 1.0))]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [(number * step, _text(number * step, step)) for number in range(first, last + 1)]


def _text(value: float, step: float) -> str:
    if abs(value) >= 1e5 or (value and abs(value) < 1e-3):
        return f"{value:.3g}"
    return f"{value:.{max(0, -floor(log10(step) + 1e-9))}f}"


class _Place:
    """Where values lie in the picture."""

    def __init__(self, plot: Plot) -> None:
        self._across, self._up = plot.across, plot.up

    def x(self, value: float) -> float:
        low, high = self._across.low, self._across.high
        share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self._up.low, self._up.high
        share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _svg(plot: Plot, name: str) -> str:
    place = _Place(plot)
    drawn = "".join(
        (
            *(_bars(bars, place) for bars in plot.bars),
            *(_line(line, place) for line in plot.lines),
            *(_rule(rule, place) for rule in plot.rules),
            *(_dot(dot, place) for dot in plot.dots),
        )
    )
    about = f"{plot.words} {'; '.join(each for each in _names(plot))}".strip()
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(plot.title)}</title><desc id="{name}-d">{escape(about)}</desc>'
        f"{_axes(plot, place)}{drawn}</svg>"
    )


def _axes(plot: Plot, place: _Place) -> str:
    right, floor_ = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value, text in ticks(plot.across.low, plot.across.high):
        x = place.x(value)
        parts.append(f'<path class="grid" d="M{x} {TOP}V{floor_}"/>')
        parts.append(f'<text class="across" x="{x}" y="{floor_ + 17}">{text}</text>')
    for value, text in ticks(plot.up.low, plot.up.high):
        y = place.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{right}"/>')
        shown = text.removeprefix("-") if plot.up.mirrored else text
        parts.append(f'<text class="up" x="{LEFT - 6}" y="{y + 4}">{shown}</text>')
    middle = (TOP + floor_) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{floor_}H{right}"/>')
    parts.append(
        f'<text class="label" x="{(LEFT + right) / 2}" y="{HEIGHT - 8}">{escape(plot.across.label)}</text>'
    )
    parts.append(
        f'<text class="label" transform="translate(12 {middle}) rotate(-90)">{escape(plot.up.label)}</text>'
    )
    return "".join(parts)


def _line(line: Line, place: _Place) -> str:
    points = [point for point in line.points if isfinite(point[0]) and isfinite(point[1])]
    path = " ".join(f"{place.x(x)},{place.y(y)}" for x, y in points)
    return f'<polyline class="{_kind(line)}"{_dashes(line)} points="{path}"/>' if points else ""


def _kind(line: Line) -> str:
    return "line strong" if line.strong else f"line s{line.look % LOOKS + 1}"


def _dashes(line: Line) -> str:
    dash = "" if line.strong else DASHES[line.look % LOOKS]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _rule(rule: Rule, place: _Place) -> str:
    x = place.x(rule.at)
    return f'<path class="rule" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>'


def _dot(dot: Dot, place: _Place) -> str:
    return f'<circle class="dot" cx="{place.x(dot.at[0])}" cy="{place.y(dot.at[1])}" r="5.5"/>'


def _bars(bars: Bars, place: _Place) -> str:
    """Return bars as one path; an outline is the stairs above them."""
    look = f"s{bars.look % LOOKS + 1}"
    zero = place.y(0.0)
    edges = [place.x(edge) for edge in bars.edges]
    tops = [place.y(height) for height in bars.heights]
    if not bars.filled:
        stairs = "".join(f"V{top}H{edge}" for top, edge in zip(tops, edges[1:], strict=True))
        return f'<path class="line {look}" d="M{edges[0]} {zero}{stairs}V{zero}"/>'
    path = "".join(
        f"M{left} {zero}V{top}H{right}V{zero}Z"
        for left, right, top in zip(edges, edges[1:], tops, strict=False)
        if top != zero
    )
    return f'<path class="bars f{look}" d="{path}"/>' if path else ""


def _names(plot: Plot) -> list[str]:
    lines = [line.name for line in plot.lines if line.named]
    rest = [each.name for each in plot.rules] + [each.name for each in plot.dots]
    return [*(each.name for each in plot.bars), *lines, *rest]


def _legend(plot: Plot) -> str:
    items = [(_swatch_bars(each), each.name) for each in plot.bars]
    items += [(_swatch_line(each), each.name) for each in plot.lines if each.named]
    items += [('<path class="rule" d="M13 1V13"/>', each.name) for each in plot.rules]
    items += [('<circle class="dot" cx="13" cy="7" r="5"/>', each.name) for each in plot.dots]
    rows = "".join(
        f'<li><svg class="swatch" viewBox="0 0 26 14" aria-hidden="true">{swatch}</svg>{escape(name)}</li>'
        for swatch, name in items
    )
    return f'<ul class="legend">{rows}</ul>' if rows else ""


def _swatch_bars(bars: Bars) -> str:
    look = f"s{bars.look % LOOKS + 1}"
    if bars.filled:
        return f'<path class="bars f{look}" d="M3 2H23V12H3Z"/>'
    return f'<path class="line {look}" d="M3 12V3H23V12"/>'


def _swatch_line(line: Line) -> str:
    return f'<path class="{_kind(line)}"{_dashes(line)} d="M1 7H25"/>'
