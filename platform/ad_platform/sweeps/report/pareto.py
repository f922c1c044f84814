"""What several objectives cost one another: the trials that none beats in all of them."""

from itertools import combinations

from ad_platform.sweeps.objectives import MIN
from ad_platform.sweeps.report import look
from ad_platform.sweeps.report.look import BLUE, RED, Figure, Section
from ad_platform.sweeps.report.view import View, value_of


def pareto(view: View) -> Section | None:
    """Show the front over every pair of objectives; None for a study with one objective."""
    if not view.several:
        return None
    title = "Pareto front"
    if not view.complete:
        return Section(title=title, words="No trial is complete yet.")
    pairs = list(combinations(range(len(view.spec.objectives)), 2))
    figures = [_pair(view, across, up, joined=len(pairs) == 1) for across, up in pairs]
    count = len(view.front)
    words = (
        f"{count} trial{' is' if count == 1 else 's are'} on the front: no other is as good in every "
        "objective and better in one. Which of them is best is for you to say."
    )
    return Section(title=title, words=words, figures=figures)


def _pair(view: View, across: int, up: int, *, joined: bool) -> Figure:
    shown = look.thinned(view, view.complete)
    front = sorted(
        (trial for trial in view.complete if trial.number in view.front),
        key=lambda trial: value_of(trial, across),
    )
    others = [trial for trial in shown if trial.number not in view.front]
    first, second = view.spec.objectives[across], view.spec.objectives[up]
    traces: list[look.Json_] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "other trials",
            "x": [value_of(trial, across) for trial in others],
            "y": [value_of(trial, up) for trial in others],
            **look.told(others),
            "marker": {"color": BLUE, "size": 7, "opacity": 0.6},
        },
        {
            "type": "scatter",
            "mode": "lines+markers" if joined else "markers",
            "name": "on the front",
            "x": [value_of(trial, across) for trial in front],
            "y": [value_of(trial, up) for trial in front],
            **look.told(front),
            # Nothing between two trials is promised that both do not reach: a step on their worse side.
            "line": {
                "color": RED,
                "width": 1.2,
                "dash": "dot",
                "shape": "hv" if first.direction == MIN else "vh",
            },
            "marker": {"color": RED, "size": 10, "line": {"color": "white", "width": 1}},
        },
    ]
    return Figure(
        traces=traces if others else traces[1:],
        layout=look.layout(
            xaxis=look.value_axis(first, []), yaxis=look.value_axis(second, []), hovermode="closest"
        ),
        height=440,
    )
