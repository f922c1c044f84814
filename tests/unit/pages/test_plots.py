"""Plots keep to their frame, have round ticks, and say in words what they show."""

import re

import pytest

import markup
from ad_platform.pages import plots
from ad_platform.pages.plots import Axis, Bars, Dot, Line, Plot, Rule

BUSY = Plot(
    title="<b>",
    words="Rises & falls.",
    across=Axis(label="x", low=-1, high=3),
    up=Axis(label="y", low=-40, high=250, mirrored=True),
    lines=[Line(name="a", points=[(-5, 999), (1, 3), (float("nan"), 1)], look=7), Line(name="b", points=[])],
    dots=[Dot(name="here", at=(2, 2))],
    rules=[Rule(name="at 0.5", at=0.5)],
    bars=[
        Bars(name="up", edges=[0, 1, 2], heights=[5, 0]),
        Bars(name="out", edges=[0, 1], heights=[-3], filled=False),
    ],
)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 0.3, ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]),
        (-40, 250, ["0", "50", "100", "150", "200", "250"]),
        (0, 3e6, ["0", "5e+05", "1e+06", "1.5e+06", "2e+06", "2.5e+06", "3e+06"]),
        (2, 2, ["2"]),
    ],
)
def test_ticks_are_round_and_within_the_axis(low: float, high: float, texts: list[str]) -> None:
    found = plots.ticks(low, high)
    assert [text for _, text in found] == texts
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, _ in found)


def test_a_long_curve_is_averaged_and_a_short_one_stays() -> None:
    short = [(float(x), float(x)) for x in range(10)]
    assert plots.averaged(short, 10) == short
    long = [(float(x), 2.0 * x) for x in range(1000)]
    kept = plots.averaged(long, 300)
    assert len(kept) == 300
    assert all(y == pytest.approx(2 * x) for x, y in kept)
    assert kept[0][0] < 3
    assert kept[-1][0] > 996


@pytest.mark.parametrize(("values", "low", "high"), [([], 0, 1), ([2, 2], 1.9, 2.1), ([0, 100], -4, 104)])
def test_an_axis_has_room_around_its_values(values: list[float], low: float, high: float) -> None:
    found = plots.span(values)
    assert found[0] <= low + 0.05
    assert found[1] >= high - 0.05


def test_whatever_is_drawn_lies_within_the_picture_and_is_told() -> None:
    drawn = plots.figure(BUSY, "p")
    seen = markup.Markup(drawn)
    assert "<h3>&lt;b&gt;</h3>" in drawn
    assert "Rises & falls. up; out; a; b; at 0.5; here" in seen.text
    for points in re.findall(r'points="([^"]+)"', drawn):
        for pair in points.split():
            x, y = map(float, pair.split(","))
            assert plots.LEFT <= x <= plots.WIDTH - plots.RIGHT
            assert plots.TOP <= y <= plots.HEIGHT - plots.BOTTOM
    assert "nan" not in drawn
    assert not re.search('class="up"[^>]*>-', drawn)  # what counts downwards has no sign


def test_lines_are_told_apart_by_more_than_colour() -> None:
    lines = [Line(name=str(look), points=[(0, 0), (1, 1)], look=look) for look in range(plots.LOOKS)]
    drawn = plots.figure(
        Plot(title="t", words="w", across=Axis(label="x"), up=Axis(label="y"), lines=lines), "p"
    )
    dashes = re.findall(r'<polyline class="line s\d"( stroke-dasharray="[^"]+")?', drawn)
    assert len(set(dashes)) == plots.LOOKS
