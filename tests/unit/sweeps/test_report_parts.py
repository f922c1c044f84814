"""What the plots of a report are made of: the best trials, the front, smoothed surfaces, importance."""

from dataclasses import replace
from math import isfinite
from random import Random

import pytest

import study_cases as cases
from ad_platform.records import Trial
from ad_platform.states import TrialState
from ad_platform.sweeps.objectives import parse
from ad_platform.sweeps.report import ReportFacts, importance, look
from ad_platform.sweeps.report.progress import best_so_far
from ad_platform.sweeps.report.surfaces import CELLS, smoothed
from ad_platform.sweeps.report.view import View, front, view
from ad_platform.sweeps.study_spec import StudySpec


def seen(spec: StudySpec, trials: list[Trial], **facts: object) -> View:
    return view(cases.study(spec), spec, trials, {}, ReportFacts(**facts))  # type: ignore[arg-type]


def test_the_best_trial_is_the_first_of_those_with_the_best_value() -> None:
    spec = cases.spec()
    trials = [
        replace(trial, values=(value,))
        for trial, value in zip(cases.trials(spec, 4, broken=False), (0.5, 0.9, 0.9, 0.7), strict=True)
    ]
    assert seen(spec, trials[::-1]).best == trials[1]
    least = cases.spec(objectives=(parse("latency_ms"),))
    assert seen(least, trials).best == trials[0]
    assert seen(spec, trials, chosen=2).chosen == trials[2]
    assert seen(spec, trials, chosen=9).chosen == trials[1]
    assert [value for _, value in best_so_far(trials, spec.objectives[0])] == [0.5, 0.9]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_front_is_what_comparing_all_with_all_gives(count: int) -> None:
    objectives = [parse("test/image_auroc"), parse("latency_ms"), parse("test/aupro_30")][:count]
    spec = cases.spec(objectives=objectives)
    random = Random(3)
    # Few different values, so that many are equal.
    trials = [
        replace(trial, values=tuple(float(random.randrange(8)) for _ in objectives))
        for trial in cases.trials(spec, 150, broken=False)
    ]

    def beats(one: Trial, other: Trial) -> bool:
        pairs = list(zip(objectives, one.values or (), other.values or (), strict=True))
        return all(a == b or o.better(a, b) for o, a, b in pairs) and one.values != other.values

    expected = {trial.number for trial in trials if not any(beats(other, trial) for other in trials)}
    assert set(front(trials, objectives)) == expected


def test_a_surface_follows_what_was_measured_and_claims_nothing_far_from_it() -> None:
    random = Random(0)
    places = [(random.random() * 0.5, random.random()) for _ in range(300)]
    rows = smoothed(places, [x for x, _ in places])
    assert (len(rows), len(rows[0])) == (CELLS, CELLS)
    middle = rows[CELLS // 2]
    assert middle[-1] is None
    for column in range(4, 20):
        value = middle[column]
        assert value is not None
        assert isfinite(value)
        assert abs(value - column / (CELLS - 1)) < 0.06


def test_a_surface_of_equal_places_and_values_is_flat() -> None:
    rows = smoothed([(0.5, 0.5)] * 5, [0.25] * 5)
    known = {value for row in rows for value in row if value is not None}
    assert min(known) == pytest.approx(0.25)
    assert max(known) == pytest.approx(0.25)


def test_the_setting_that_decides_is_the_important_one() -> None:
    spec = cases.spec()
    trials = [
        replace(trial, values=(float(str(trial.params["w"])) / 12,))
        for trial in cases.trials(spec, 60, broken=False)
    ]
    (shares,), problem = importance.importance(seen(spec, trials))
    assert problem == ""
    assert shares["w"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_without_enough_trials_or_differences_importance_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = cases.spec()
    few, many = cases.trials(spec, 3, broken=False), cases.trials(spec, 30, broken=False)
    assert importance.importance(seen(spec, few)) == ([], "3 complete trials cannot tell; it takes 8.")
    equal = [replace(trial, values=(1.0,)) for trial in many]
    assert "the same value" in importance.importance(seen(spec, equal))[1]
    alone = cases.spec(space=(cases.W,))
    assert "Only one setting" in importance.importance(seen(alone, many))[1]
    monkeypatch.setattr(importance, "find_spec", lambda name: None)
    assert "needs scikit-learn" in importance.importance(seen(spec, many))[1]


def test_of_very_many_trials_the_best_and_the_chosen_are_among_those_shown() -> None:
    spec = cases.spec()
    trials = cases.trials(spec, 3000)
    whole = seen(spec, trials, chosen=0)
    shown = look.thinned(whole, whole.complete, 200)
    assert len(shown) == 200
    assert shown == sorted(shown, key=lambda trial: trial.number)
    better = sorted(whole.complete, key=lambda trial: -(trial.values or (0,))[0])
    assert {0, *(trial.number for trial in better[:20])} <= {trial.number for trial in shown}
    assert look.thinned(whole, whole.complete[:200], 200) == list(whole.complete[:200])
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    assert len(look.thinned(whole, failed, 20)) == 20
