"""Looks sweeps up and prints them: one whole, its trials, its best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.sweeps import best, showing, words
from ad_cli.sweeps import trials as table

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Study
    from ad_platform.states import TrialState
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.viewing import SweepView, TrialView

MANY = 5  # times as many are offered where a list was cut


def show(client: Client, sweeps: Sweeps, study: Study) -> None:
    """Print all that is known of a sweep."""
    view = sweeps.view(study)
    showing.show(view, _front(sweeps, view))


def show_best(client: Client, sweeps: Sweeps, study: Study) -> None:
    """Print the settings of the best trial; of several objectives those of the whole front."""
    view = sweeps.view(study)
    front = _front(sweeps, view)
    best.show(client, view, None if front else sweeps.best(study.id), front)


def list_trials(
    sweeps: Sweeps, study: Study, states: Sequence[TrialState], sort: str, *, reverse: bool, limit: int
) -> None:
    """Print the trials of a sweep."""
    view, found = sweeps.view(study), sweeps.trials(study)
    fitting = table.chosen(found, view.spec, states, sort, reverse=reverse)
    shown = fitting[:limit]
    if out.as_json():
        out.data([words.trial_json(one, view.spec) for one in shown])
    elif out.quiet():
        for one in shown:
            out.text(str(one.trial.number))
    else:
        rows = [table.cells(one, view) for one in shown]
        out.table(table.columns(view.spec, found), rows, empty=_nothing(view, found))
        if len(fitting) > limit:
            out.note(f"the first {limit} of {len(fitting)}; more with: -n {limit * MANY}")


def _nothing(view: SweepView, found: Sequence[TrialView]) -> str:
    name = view.study.name
    if found:
        return f"no trial fits; all of them: adctl sweep trials {name}"
    return f"no trials yet; why: adctl why {name}"


def _front(sweeps: Sweeps, view: SweepView) -> list[TrialView]:
    """Return the trials of the front, the best of the first objective first."""
    if not view.front:
        return []
    by_number = {one.trial.number: one for one in sweeps.trials(view.study)}
    front = [by_number[number] for number in view.front if number in by_number]
    return table.chosen(front, view.spec, (), table.VALUE, reverse=False)
