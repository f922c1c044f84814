"""The trials as a table: all of them as a file, the best ones on the page."""

import csv
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path

from ad_platform.pages import notation
from ad_platform.records import Trial
from ad_platform.sweeps.objectives import MIN
from ad_platform.sweeps.report.view import View, value_of

ROWS = 500  # on the page
_FIRST, _LAST = (
    ("number", "state", "origin", "retry_of"),
    ("asked_at", "ended_at", "seconds", "rungs", "error"),
)


def write(view: View, path: Path) -> None:
    """Write every trial: how it ended, its values, its settings, when it ran; an unknown cell is empty."""
    metrics = [objective.metric for objective in view.spec.objectives]
    names = [f"params_{name}" for name in view.spec.names]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_FIRST, *metrics, *names, *_LAST])
        table.writerows(_line(view, trial) for trial in view.trials)


def _line(view: View, trial: Trial) -> list[str]:
    values = [repr(value) if isfinite(value) else "" for value in trial.values or ()]
    values += [""] * (len(view.spec.objectives) - len(values))
    settings = [_cell(trial, name) for name in view.spec.names]
    seen = ";".join(repr(float(value)) for value in view.rungs.get(trial.number, ()) if isfinite(value))
    retried = "" if trial.retry_of is None else str(trial.retry_of)
    times = [_utc(trial.asked_at), _utc(trial.ended_at), _seconds(trial)]
    start = [str(trial.number), trial.state.value, trial.origin.value, retried]
    return [*start, *values, *settings, *times, seen, trial.error]


def _cell(trial: Trial, name: str) -> str:
    value = trial.params.get(name)
    if name not in trial.params:
        return ""
    return repr(value) if isinstance(value, float) else notation.typed(value)


def _utc(at: float | None) -> str:
    return f"{moment.replace(' ', 'T')}Z" if (moment := notation.moment(at)) else ""


def _seconds(trial: Trial) -> str:
    return "" if trial.ended_at is None else f"{trial.ended_at - trial.asked_at:.3f}"


def shown(view: View) -> Sequence[Trial]:
    """Return the trials for the page: the best first, then others by number; only the first ROWS."""
    better = sorted(view.complete, key=value_of, reverse=view.first.direction != MIN)
    numbers = {trial.number for trial in better}
    return [*better, *(trial for trial in view.trials if trial.number not in numbers)][:ROWS]


def headers(view: View) -> list[str]:
    """Return the heads of the columns of the page's table."""
    metrics = [objective.metric for objective in view.spec.objectives]
    return ["trial", "state", *metrics, *view.spec.names, "took", "note"]


def rows(view: View) -> Iterator[tuple[Trial, list[tuple[str, str]]]]:
    """Yield each trial of the page's table with its cells: a text, and what it is sorted by."""
    for trial in shown(view):
        cells = [(str(trial.number), str(trial.number)), (trial.state.value, trial.state.value)]
        for index in range(len(view.spec.objectives)):
            value = trial.values[index] if trial.values and index < len(trial.values) else None
            known = value is not None and isfinite(value)
            cells.append((notation.score(value), repr(value)) if known and value is not None else ("-", ""))
        for name in view.spec.names:
            text = notation.typed(trial.params[name]) if name in trial.params else "-"
            cells.append((text, _cell(trial, name)))
        took = None if trial.ended_at is None else trial.ended_at - trial.asked_at
        cells.append(("-", "") if took is None else (notation.duration(took), f"{took:.3f}"))
        cells.append((_note(trial), _note(trial)))
        yield trial, cells


def _note(trial: Trial) -> str:
    origin = "" if trial.origin.value == "asked" else trial.origin.value
    retried = f"in place of {trial.retry_of}" if trial.retry_of is not None else ""
    return "; ".join(part for part in (origin, retried, trial.error) if part)
