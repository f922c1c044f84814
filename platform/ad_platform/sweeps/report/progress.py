"""How a study went: the value of each trial and the best so far, what was seen on the way, and when."""

from collections.abc import Sequence

from ad_platform.pages import notation
from ad_platform.records import Trial
from ad_platform.states import TrialOrigin, TrialState
from ad_platform.sweeps.objectives import Objective
from ad_platform.sweeps.report import look
from ad_platform.sweeps.report.look import BLUE, GREEN, GREY, ORANGE, RED, Figure, Section
from ad_platform.sweeps.report.view import View, value_of

LINES = 300  # curves of intermediate values in one plot
COLOURS = {
    TrialState.COMPLETE: BLUE,
    TrialState.PRUNED: ORANGE,
    TrialState.FAILED: RED,
    TrialState.RUNNING: GREY,
}


def history(view: View) -> Section:
    """Show the value of every trial, and the best so far."""
    title = "Optimisation history"
    if not view.complete:
        return Section(title=title, words="No trial is complete yet, so there is no value to show.")
    shown = look.thinned(view, view.complete)
    words = "Each dot is a trial; the line is the best value so far."
    figures = [_history(view, index, shown) for index in range(len(view.spec.objectives))]
    return Section(title=title, words=words + look.thinning(shown, view.complete), figures=figures)


def best_so_far(trials: Sequence[Trial], objective: Objective, index: int = 0) -> list[tuple[Trial, float]]:
    """Return the trials that were better than all before, each with its value."""
    found: list[tuple[Trial, float]] = []
    for trial in trials:
        value = value_of(trial, index)
        if not found or objective.better(value, found[-1][1]):
            found.append((trial, value))
    return found


def _history(view: View, index: int, shown: Sequence[Trial]) -> Figure:
    objective = view.spec.objectives[index]
    asked = [trial for trial in shown if trial.origin is not TrialOrigin.WARM]
    warm = [trial for trial in shown if trial.origin is TrialOrigin.WARM]
    pruned = [trial for trial in view.trials if trial.state is TrialState.PRUNED and trial.values]
    traces = [
        _dots(asked, index, "complete", {"color": BLUE, "size": 7, "opacity": 0.75}),
        _dots(warm, index, "known before", {"color": GREY, "size": 7, "symbol": "diamond"}),
    ]
    if not view.several:
        marker = {"color": ORANGE, "size": 7, "symbol": "x-thin", "line": {"color": ORANGE, "width": 1.5}}
        hidden = {"visible": "legendonly"} if _far(view, pruned) else {}
        dots = _dots(look.thinned(view, pruned), index, "pruned, last seen", marker)
        traces.append({**dots, **hidden})
    steps = best_so_far(view.complete, objective, index)
    last = view.trials[-1].number
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": [*(trial.number for trial, _ in steps), last],
            "y": [*(value for _, value in steps), steps[-1][1]],
            "line": {"color": GREEN, "shape": "hv", "width": 2},
            "hoverinfo": "skip",
        }
    )
    if view.chosen is not None and not view.several:
        name = "chosen" if view.facts.chosen is not None else "best"
        traces.append(_dots([view.chosen], index, name, look.star()))
    return Figure(
        traces=[trace for trace in traces if trace["x"]],
        layout=look.layout(
            xaxis=look.trial_axis(view.trials),
            yaxis=look.value_axis(objective, [value_of(trial, index) for trial in view.complete]),
            hovermode="closest",
        ),
    )


def _far(view: View, pruned: Sequence[Trial]) -> bool:
    """Say whether pruned trials would press the complete ones flat; their values are others, seen earlier."""
    values = [value_of(trial) for trial in view.complete]
    low, high = min(values), max(values)
    room = (high - low) or 1e-9
    return any(not low - room <= value_of(trial) <= high + room for trial in pruned)


def _dots(trials: Sequence[Trial], index: int, name: str, marker: look.Json_) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trial.number for trial in trials],
        "y": [value_of(trial, index) for trial in trials],
        "marker": dict(marker),
        **look.told(trials),
    }


def rungs(view: View) -> Section:
    """Show what was measured of each trial on the way, and where trials were pruned."""
    title = "Intermediate values"
    states = {trial.number: trial for trial in view.trials}
    seen = [states[number] for number, values in view.rungs.items() if values and number in states]
    if not seen:
        return Section(title=title, words="Nothing was measured while trials ran.")
    shown = look.thinned(view, sorted(seen, key=lambda trial: trial.number), LINES)
    chosen = view.chosen.number if view.chosen else -1
    traces = [
        _curves(view, [trial for trial in shown if trial.state is state and trial.number != chosen], state)
        for state in COLOURS
    ]
    if chosen in view.rungs:
        values = list(view.rungs[chosen])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"trial {chosen}, the {'chosen' if view.facts.chosen is not None else 'best'}",
                "x": list(range(1, len(values) + 1)),
                "y": values,
                "line": {"color": GREEN, "width": 3},
            }
        )
    figure = Figure(
        traces=[trace for trace in traces if trace["x"]],
        layout=look.layout(
            xaxis=look.axis("rung", dtick=1), yaxis=look.value_axis(view.first, []), hovermode="closest"
        ),
    )
    words = "The first objective while trials ran; an orange curve ends where its trial was pruned."
    return Section(title=title, words=words + look.thinning(shown, seen), figures=[figure])


def _curves(view: View, trials: Sequence[Trial], state: TrialState) -> dict[str, object]:
    """Return the curves of trials as one trace with gaps, which is drawn much faster than one each."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    each: list[Trial] = []
    for trial in trials:
        values = [value for value in view.rungs[trial.number] if value == value]
        xs += [*range(1, len(values) + 1), None]
        ys += [*values, None]
        each += [trial] * (len(values) + 1)
    ends = [4] * len(xs)
    for place, x in enumerate(xs):
        if x is None and state is TrialState.PRUNED:
            ends[place - 1] = 9
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": state.value,
        "x": xs,
        "y": ys,
        "line": {"color": COLOURS[state], "width": 1.2},
        "marker": {"size": ends, "symbol": "circle"},
        "opacity": 0.65,
        **look.told(each),
    }


def timeline(view: View) -> Section:
    """Show when each trial ran."""
    title = "Timeline"
    timed = [trial for trial in view.trials if trial.origin not in (TrialOrigin.WARM, TrialOrigin.RULED_OUT)]
    if not timed:
        return Section(title=title, words="No trial was asked for yet.")
    shown = look.thinned(view, timed)
    height = min(max(220, 120 + 9 * len(shown)), 640)
    width = max(1.0, min(10.0, 0.62 * (height - 120) / len(shown)))
    traces = [
        _bars(view, [trial for trial in shown if trial.state is state], state, width) for state in COLOURS
    ]
    # As many numbers beyond both ends as keep bars off the frame.
    first, last = shown[0].number, shown[-1].number
    edge = max(0.8, 0.02 * (last - first))
    figure = Figure(
        traces=[trace for trace in traces if trace["x"]],
        layout=look.layout(
            xaxis=look.axis("time (UTC)", type="date"),
            yaxis=look.axis("trial", range=[last + edge, first - edge]),
            hovermode="closest",
        ),
        height=height,
    )
    words = "From when a trial was asked for to when it ended; waiting for a worker is part of it."
    return Section(title=title, words=words + look.thinning(shown, timed), figures=[figure])


def _bars(view: View, trials: Sequence[Trial], state: TrialState, width: float) -> dict[str, object]:
    xs: list[str | None] = []
    ys: list[int | None] = []
    for trial in trials:
        end = trial.ended_at or max(view.until, trial.asked_at)
        xs += [notation.moment(trial.asked_at), notation.moment(end), None]
        ys += [trial.number, trial.number, None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": state.value,
        "x": xs,
        "y": ys,
        "line": {"color": COLOURS[state], "width": width},
        "marker": {"size": width, "symbol": "square"},
        **look.told([trial for trial in trials for _ in range(3)]),
    }
