"""The value over two numeric settings: a smoothed surface where enough was tried, else the trials alone."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log10

from ad_platform.records import Trial
from ad_platform.sweeps.dimensions import Dimension
from ad_platform.sweeps.objectives import Objective
from ad_platform.sweeps.report import look
from ad_platform.sweeps.report.look import Figure, Section
from ad_platform.sweeps.report.view import View, setting, value_of

CELLS = 48  # of a surface, along each setting
FEWEST = 8  # different places that a surface is drawn from
PAIRS = 12  # plots
POINTS = 400  # drawn on a surface
REACH = 2.0  # of the smoothing; farther from every trial nothing is claimed

Place = tuple[float, float]


def contours(view: View, importance: Mapping[str, float]) -> Section:
    """Show the objectives over every pair of numeric settings, the most important pairs first."""
    title = "Pairs of settings"
    pairs = sorted(
        combinations(view.numeric, 2),
        key=lambda pair: -sum(importance.get(dimension.name, 0.0) for dimension in pair),
    )
    if not pairs:
        return Section(title=title, words="Fewer than two numeric settings were searched.")
    if not view.complete:
        return Section(title=title, words="No trial is complete yet.")
    wanted = [(pair, index) for pair in pairs for index in range(len(view.spec.objectives))]
    figures = [
        figure
        for pair, index in wanted[:PAIRS]
        if (figure := _pair(view, pair[0], pair[1], index)) is not None
    ]
    words = (
        f"Dots are trials{view.star_words}. The surface between them averages what was measured "
        "nearby; it is left white where nothing near was tried, and left out where all would be guesswork."
    )
    if len(wanted) > PAIRS:
        words += f" Shown are the {PAIRS} most important of {len(wanted)} plots."
    return Section(title=title, words=words, figures=figures)


def _pair(view: View, across: Dimension, up: Dimension, index: int) -> Figure | None:
    trials = [
        trial
        for trial in view.complete
        if setting(trial, across) is not None and setting(trial, up) is not None
    ]
    if not trials:
        return None
    objective = view.spec.objectives[index]
    places = [(_share(across, trial), _share(up, trial)) for trial in trials]
    values = [value_of(trial, index) for trial in trials]
    varied = min(values) < max(values)
    smooth = varied and len(set(places)) >= FEWEST
    traces = [_surface(across, up, places, values, objective)] if smooth else []
    shown = look.thinned(view, trials, POINTS)
    traces.append(_points(view, across, up, shown, index, values, bar=varied and not smooth))
    chosen = view.chosen
    if chosen is not None and chosen in trials and not view.several:
        traces.append(_star(across, up, chosen))
    return Figure(
        traces=traces,
        layout=look.layout(
            xaxis={**look.setting_axis(across), "range": _range(across), "showgrid": not smooth},
            yaxis={**look.setting_axis(up), "range": _range(up), "showgrid": not smooth},
            showlegend=False,
            hovermode="closest",
        ),
        height=430,
    )


def _surface(
    across: Dimension,
    up: Dimension,
    places: Sequence[Place],
    values: Sequence[float],
    objective: Objective,
) -> dict[str, object]:
    return {
        "type": "contour",
        "x": [_value(across, cell / (CELLS - 1)) for cell in range(CELLS)],
        "y": [_value(up, cell / (CELLS - 1)) for cell in range(CELLS)],
        "z": smoothed(places, values),
        "zmin": min(values),
        "zmax": max(values),
        "zauto": False,
        "colorscale": look.SCALE,
        "reversescale": objective.direction == "min",
        "colorbar": look.bar(objective),
        "contours": {"coloring": "heatmap", "showlines": True},
        "line": {"width": 0.6, "color": "rgba(255,255,255,0.55)"},
        "connectgaps": False,
        "hoverinfo": "skip",
    }


def smoothed(
    places: Sequence[Place], values: Sequence[float], cells: int = CELLS
) -> list[list[float | None]]:
    """Return rows of a grid over the unit square: the average of the values around, weighed by nearness.

    Nadaraya, "On estimating regression", 1964, with a Gaussian kernel whose width shrinks as trials grow in
    number. None stands where the nearest trial is farther away than REACH widths.
    """
    import numpy as np

    width = min(0.16, max(0.045, 0.45 * len(set(places)) ** (-1 / 3)))
    centres = np.linspace(0.0, 1.0, cells)
    x, y = np.asarray(places, np.float64).T  # (N,)
    across = np.square(centres[:, None] - x)  # (C, N)
    up = np.square(centres[:, None] - y)
    # The kernel is a product, so the sums over trials are products of matrices.
    wide, high = np.exp(-across / (2 * width**2)), np.exp(-up / (2 * width**2))
    weight = high @ wide.T  # (C, C), rows upwards
    total = (high * np.asarray(values, np.float64)) @ wide.T
    nearest = np.array([(row[:, None] + across.T).min(axis=0) for row in up])
    near = nearest <= (REACH * width) ** 2
    average = np.divide(total, weight, out=np.zeros_like(total), where=near)
    return [
        [float(value) if known else None for value, known in zip(row, seen, strict=True)]
        for row, seen in zip(average, near, strict=True)
    ]


def _points(
    view: View,
    across: Dimension,
    up: Dimension,
    trials: Sequence[Trial],
    index: int,
    values: Sequence[float],
    *,
    bar: bool,
) -> dict[str, object]:
    objective = view.spec.objectives[index]
    marker = look.coloured(
        objective,
        [min(values), max(values), *(value_of(trial, index) for trial in trials)],
        size=8 if len(trials) < 100 else 5,
        line={"color": "white", "width": 1},
        showscale=bar,
    )
    marker["color"] = [value_of(trial, index) for trial in trials]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [setting(trial, across) for trial in trials],
        "y": [setting(trial, up) for trial in trials],
        **look.told(trials),
        "marker": marker,
    }


def _star(across: Dimension, up: Dimension, trial: Trial) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [setting(trial, across)],
        "y": [setting(trial, up)],
        **look.told([trial]),
        "marker": look.star(),
    }


def _share(dimension: Dimension, trial: Trial) -> float:
    """Return where a setting lies in its range, from 0 to 1."""
    value = float(str(setting(trial, dimension)))
    if dimension.log:
        low, high = log10(dimension.low), log10(dimension.high)
        return (log10(value) - low) / (high - low) if value > 0 else 0.0
    return (value - dimension.low) / (dimension.high - dimension.low)


def _value(dimension: Dimension, share: float) -> float:
    if dimension.log:
        low, high = log10(dimension.low), log10(dimension.high)
        return float(10 ** (low + share * (high - low)))
    return dimension.low + share * (dimension.high - dimension.low)


def _range(dimension: Dimension) -> list[float]:
    """Return the ends of an axis, a little beyond those of the range; of a log axis as powers of ten."""
    low, high = (
        (log10(dimension.low), log10(dimension.high)) if dimension.log else (dimension.low, dimension.high)
    )
    room = 0.03 * (high - low)
    return [low - room, high + room]
