"""What settings have to do with values: how much each matters, each by itself, and all of a trial at once."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

from ad_platform.pages import notation
from ad_platform.records import Trial
from ad_platform.sweeps.dimensions import INT, Dimension
from ad_platform.sweeps.objectives import MIN
from ad_platform.sweeps.report import look
from ad_platform.sweeps.report.look import BLUE, GREEN, ORANGE, Figure, Section
from ad_platform.sweeps.report.view import View, setting, value_of

LINES = 1000  # trials in parallel coordinates
DOTS = 1000  # trials in a plot of one setting
ALONE = 16  # settings that have a plot of their own


def importance(view: View, found: Sequence[Mapping[str, float]], problem: str) -> Section:
    """Show how much of the differences between trials each setting explains, for each objective."""
    title = "Importance of the settings"
    if problem:
        return Section(title=title, words=problem)
    names = sorted(found[0], key=lambda name: found[0][name])
    colours = (BLUE, ORANGE, GREEN)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": objective.metric,
            "x": [shares[name] for name in names],
            "y": names,
            "text": [f"{shares[name]:.0%}" for name in names],
            "textposition": "outside",
            "cliponaxis": False,
            "hoverinfo": "skip",
            "marker": {"color": colours[index % len(colours)]},
        }
        for index, (objective, shares) in enumerate(zip(view.spec.objectives, found, strict=True))
    ]
    figure = Figure(
        traces=traces,
        layout=look.layout(
            xaxis=look.axis("share of the differences that it explains", range=[0, 1.1], tickformat=".0%"),
            yaxis=look.axis("", showgrid=False, type="category"),
            showlegend=view.several,
        ),
        height=140 + 34 * len(names) * len(traces),
    )
    words = (
        "By fANOVA: a random forest learns the value from the settings, and its variance is shared out. "
        "It tells what mattered within the ranges that were searched, and with few trials only roughly."
    )
    return Section(title=title, words=words, figures=[figure])


def alone(view: View, shares: Mapping[str, float]) -> Section:
    """Show the first objective over each setting by itself."""
    title = "Each setting by itself"
    if not view.complete:
        return Section(title=title, words="No trial is complete yet.")
    space = sorted(view.spec.space, key=lambda dimension: -shares.get(dimension.name, 0.0))
    shown = look.thinned(view, view.complete, DOTS)
    figures = [_alone(view, dimension, shown) for dimension in space[:ALONE]]
    words = f"{view.first.metric} of every trial; later trials are darker{view.star_words}."
    if len(space) > ALONE:
        words += f" Shown are the {ALONE} most important of {len(space)} settings."
    return Section(title=title, words=words + look.thinning(shown, view.complete), figures=figures)


def _alone(view: View, dimension: Dimension, shown: Sequence[Trial]) -> Figure:
    trials = [trial for trial in shown if trial.params.get(dimension.name) is not None or dimension.choices]
    traces: list[look.Json_] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [_place(trial, dimension) for trial in trials],
            "y": [value_of(trial) for trial in trials],
            **look.told(trials),
            "marker": {
                "size": 8 if len(trials) < 200 else 5,
                "color": [trial.number for trial in trials],
                "colorscale": [[0, "#b9d3ee"], [1, "#123f70"]],
                "line": {"color": "white", "width": 0.7},
            },
        }
    ]
    if view.chosen is not None and not view.several:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [_place(view.chosen, dimension)],
                "y": [value_of(view.chosen)],
                **look.told([view.chosen]),
                "marker": look.star(),
            }
        )
    return Figure(
        traces=traces,
        layout=look.layout(
            xaxis=look.setting_axis(dimension),
            yaxis={
                **look.value_axis(view.first, [value_of(trial) for trial in trials]),
                "title": {"text": view.first.metric, "standoff": 10, "font": {"size": 13}},
            },
            showlegend=False,
            hovermode="closest",
        ),
        height=300,
    )


def _place(trial: Trial, dimension: Dimension) -> object:
    value = setting(trial, dimension)
    return notation.typed(value) if dimension.choices else value


def parallel(view: View) -> Section:
    """Show every trial as a line through its settings and values."""
    title = "Parallel coordinates"
    if len(view.complete) < 2:
        return Section(title=title, words="Fewer than two trials are complete.")
    whole = [trial for trial in view.complete if all(_drawable(trial, one) for one in view.spec.space)]
    if len(whole) < 2:
        return Section(title=title, words="Fewer than two complete trials have every setting.")
    shown = look.thinned(view, whole, LINES)
    # The worst first, so that the best are drawn over them.
    shown = sorted(shown, key=value_of, reverse=view.first.direction == MIN)
    axes = [_values_axis(view, index, shown) for index in range(len(view.spec.objectives))]
    axes += [_setting_axis(dimension, shown) for dimension in view.spec.space]
    line = look.coloured(view.first, [value_of(trial) for trial in shown], showscale=True)
    figure = Figure(
        traces=[
            {
                "type": "parcoords",
                "dimensions": axes,
                "line": line,
                "labelangle": -12 if len(axes) > 5 else 0,
                "unselected": {"line": {"color": look.GRID, "opacity": 0.25}},
            }
        ],
        layout=look.layout(margin={"l": 90, "r": 60, "t": 84, "b": 36}),
        height=440,
    )
    words = "A line is a trial, yellow is better. Drag along an axis to see only the trials that pass there."
    return Section(title=title, words=words + look.thinning(shown, whole), figures=[figure])


def _drawable(trial: Trial, dimension: Dimension) -> bool:
    if dimension.choices:
        return trial.params.get(dimension.name) in dimension.choices
    value = setting(trial, dimension)
    return isinstance(value, int | float) and (value > 0 or not dimension.log)


def _values_axis(view: View, index: int, trials: Sequence[Trial]) -> look.Json_:
    values = [value_of(trial, index) for trial in trials]
    low, high = min(values), max(values)
    room = (high - low) * 0.02 or abs(high) * 0.01 or 0.01
    label = view.spec.objectives[index].metric
    return {"label": label, "values": values, "range": [low - room, high + room]}


def _setting_axis(dimension: Dimension, trials: Sequence[Trial]) -> look.Json_:
    found = [setting(trial, dimension) for trial in trials]
    if dimension.choices:
        places = list(range(len(dimension.choices)))
        return {
            "label": dimension.name,
            "values": [dimension.choices.index(value) for value in found],
            "tickvals": places,
            "ticktext": look.choices(dimension),
            "range": [-0.2, len(places) - 0.8],
        }
    numbers = [float(str(value)) for value in found]
    if not dimension.log:
        low, high = min(dimension.low, *numbers), max(dimension.high, *numbers)
        whole = {"tickformat": "d"} if dimension.kind == INT else {}
        return {"label": dimension.name, "values": numbers, "range": [low, high], **whole}
    low, high = log10(min(dimension.low, *numbers)), log10(max(dimension.high, *numbers))
    ticks = list(range(ceil(low - 1e-9), floor(high + 1e-9) + 1))
    ends = [low, high] if len(ticks) < 2 else ticks
    return {
        "label": dimension.name,
        "values": [log10(value) for value in numbers],
        "range": [low, high],
        "tickvals": ends,
        "ticktext": [notation.number(10**tick) for tick in ends],
    }
