"""How plots look: colours, words and axes that all of them share; a plot is what plotly.js takes as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ad_platform.pages import notation
from ad_platform.records import Trial
from ad_platform.states import TrialOrigin
from ad_platform.sweeps.dimensions import Dimension
from ad_platform.sweeps.objectives import MIN, Objective
from ad_platform.sweeps.report.view import View, value_of

INK, MUTED, GRID = "#1f2933", "#64707d", "#e4e8ed"
BLUE, GREEN, ORANGE, RED, GREY = "#2f6fb7", "#12805c", "#d9822b", "#c23b32", "#8a94a0"
SCALE = "Viridis"  # yellow is better
MOST = 2000  # points of a plot
SETTINGS = 14  # shown of a trial under the pointer

Json_ = Mapping[str, object]  # what becomes a JSON object


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot with its traces and layout, as plotly.js takes them."""

    traces: Sequence[Json_]
    layout: Json_
    height: int = 380


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: a heading, plain words, and plots, of which there may be none."""

    title: str
    words: str = ""
    figures: Sequence[Figure] = ()


def layout(**more: object) -> dict[str, object]:
    """Return a layout in the common style."""
    plain: dict[str, object] = {
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": 72, "r": 24, "t": 36, "b": 56},
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": INK}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return {**plain, **more}


def axis(title: str, **more: object) -> dict[str, object]:
    """Return an axis in the common style."""
    plain: dict[str, object] = {
        "title": {"text": title, "standoff": 10, "font": {"size": 13}},
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "tickcolor": GRID,
    }
    return {**plain, **more}


def setting_axis(dimension: Dimension) -> dict[str, object]:
    """Return the axis of a setting: its whole range, in steps of ten where it was searched so."""
    if dimension.choices:
        return axis(dimension.name, type="category", categoryorder="array", categoryarray=choices(dimension))
    if dimension.log:
        few = dimension.high / dimension.low < 30  # then a label for each power of ten is too little
        return axis(dimension.name, type="log", dtick="D1" if few else 1, exponentformat="e")
    return axis(dimension.name)


def value_axis(objective: Objective, values: Sequence[float]) -> dict[str, object]:
    """Return the axis of an objective; where all values are equal it is no wider than they are precise."""
    title = f"{objective.metric} ({'lower' if objective.direction == MIN else 'higher'} is better)"
    if values and min(values) == max(values):
        room = abs(values[0]) * 0.05 or 0.05
        return axis(title, range=[values[0] - room, values[0] + room])
    return axis(title)


def trial_axis(trials: Sequence[Trial]) -> dict[str, object]:
    """Return the axis of the numbers of trials."""
    few = len(trials) < 10
    return axis("trial", dtick=1) if few else axis("trial")


def coloured(objective: Objective, values: Sequence[float], **more: object) -> dict[str, object]:
    """Return how markers are coloured by an objective, with a bar beside the plot; yellow is better."""
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) * 0.01 or 0.01  # one colour needs a range too
    return {
        "color": list(values),
        "colorscale": SCALE,
        "reversescale": objective.direction == MIN,
        "cmin": low,
        "cmax": low + spread,
        "colorbar": bar(objective),
        **more,
    }


def bar(objective: Objective) -> dict[str, object]:
    """Return the bar that says which colour stands for which value."""
    return {
        "title": {"text": objective.metric, "side": "right", "font": {"size": 12}},
        "thickness": 12,
        "outlinewidth": 0,
        "ticks": "outside",
    }


def star(**more: object) -> dict[str, object]:
    """Return the marker of the chosen trial."""
    return {"symbol": "star", "size": 16, "color": RED, "line": {"color": "white", "width": 1.5}, **more}


def thinned(view: View, trials: Sequence[Trial], most: int = MOST) -> list[Trial]:
    """Return trials as they are, or of very many the best tenth, the chosen one and others evenly."""
    if len(trials) <= most:
        return list(trials)
    better = sorted(
        (trial for trial in trials if trial.values),
        key=lambda trial: value_of(trial),
        reverse=view.first.direction != MIN,
    )
    kept = {trial.number for trial in better[: most // 10]}
    kept |= view.front if len(view.front) < most // 10 else set()
    kept |= {view.chosen.number} if view.chosen else set()
    kept &= {trial.number for trial in trials}
    rest = [trial for trial in trials if trial.number not in kept]
    room = most - len(kept)
    kept |= {rest[index * len(rest) // room].number for index in range(room)}
    return [trial for trial in trials if trial.number in kept]


def thinning(shown: Sequence[Trial], trials: Sequence[Trial]) -> str:
    """Say that not all trials are in a plot; "" where they are."""
    if len(shown) == len(trials):
        return ""
    return f" Shown are {len(shown):,} of {len(trials):,} trials: the best of them, and others evenly."


def told(trials: Sequence[Trial]) -> dict[str, object]:
    """Return the part of a trace that has the page say of each point what `hover` says of its trial."""
    return {"text": {"trials": [trial.number for trial in trials]}, "hoverinfo": "text"}


def trials_of(trace: Json_) -> Sequence[int]:
    """Return the numbers of the trials that a trace has the page tell of."""
    text = trace.get("text")
    return text["trials"] if isinstance(text, dict) else ()


def hover(view: View, trial: Trial) -> str:
    """Return what is said of a trial under the pointer; the page holds it once for all plots."""
    origin = "" if trial.origin is TrialOrigin.ASKED else f" ({trial.origin})"
    took = "" if trial.ended_at is None else f" after {notation.duration(trial.ended_at - trial.asked_at)}"
    lines = [f"<b>trial {trial.number}</b>{origin}: {trial.state}{took}"]
    lines += [escape(trial.error[:120])] if trial.error else []
    if trial.values:
        lines += [
            f"{objective.metric} {notation.score(value)}"
            for objective, value in zip(view.spec.objectives, trial.values, strict=False)
        ]
    searched = [dimension.name for dimension in view.spec.space if dimension.name in trial.params]
    lines += [f"{name} = {escape(notation.typed(trial.params[name]))}" for name in searched[:SETTINGS]]
    return "<br>".join(lines)


def choices(dimension: Dimension) -> list[str]:
    """Return the choices of a setting as they are shown."""
    return [notation.typed(choice) for choice in dimension.choices]
