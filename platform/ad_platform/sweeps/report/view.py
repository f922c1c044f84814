"""A study as the parts of its report look at it: trials in order, what counts of them, and the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from ad_platform.records import Study, Trial
from ad_platform.specs import Json
from ad_platform.states import TrialOrigin, TrialState
from ad_platform.sweeps.dimensions import CHOICE, Dimension
from ad_platform.sweeps.objectives import Objective
from ad_platform.sweeps.report.facts import ReportFacts
from ad_platform.sweeps.study_spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class Sums:
    """How the trials that were asked for ended: asked = complete + pruned + failed + running."""

    asked: int
    complete: int
    pruned: int
    failed: int
    running: int
    again: int  # of those asked for: in the place of a failed one
    warm: int  # known from another study; not asked for
    ruled_out: int  # settings that do not go together; not asked for


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that a report draws from."""

    study: Study
    spec: StudySpec
    trials: tuple[Trial, ...]  # by number
    rungs: Mapping[int, Sequence[float]]  # what was measured on the way, by trial
    facts: ReportFacts

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """Return the trials that have a finite value of every objective."""
        return tuple(trial for trial in self.trials if self._counts(trial))

    @cached_property
    def best(self) -> Trial | None:
        """Return the best trial by the one objective, or by the first of several."""
        best: Trial | None = None
        for trial in self.complete:
            if best is None or self.first.better(value_of(trial), value_of(best)):
                best = trial
        return best

    @cached_property
    def chosen(self) -> Trial | None:
        """Return the trial that was trained and evaluated, or would be: the best one."""
        numbers = {trial.number: trial for trial in self.complete}
        known = numbers.get(self.facts.chosen) if self.facts.chosen is not None else None
        return known or self.best

    @cached_property
    def front(self) -> frozenset[int]:
        """Return the numbers of the trials that none beats in every objective."""
        return frozenset(front(self.complete, self.spec.objectives))

    @property
    def star_words(self) -> str:
        """Say what the star in a plot is, if there is one."""
        if self.several or self.chosen is None:
            return ""
        return f", the star is the {'chosen' if self.facts.chosen is not None else 'best'} one"

    @property
    def first(self) -> Objective:
        """Return the objective that a study with one has, or the first of several."""
        return self.spec.objectives[0]

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.spec.objectives) > 1

    @cached_property
    def numeric(self) -> tuple[Dimension, ...]:
        """Return the searched settings that are numbers."""
        return tuple(dimension for dimension in self.spec.space if dimension.kind != CHOICE)

    @cached_property
    def sums(self) -> Sums:
        """Count the trials that were asked for; one in the place of a failed one is one more."""
        origins = [trial.origin for trial in self.trials]
        computed = [trial for trial in self.trials if trial.origin in (TrialOrigin.ASKED, TrialOrigin.RETRY)]
        ended = {state: sum(trial.state is state for trial in computed) for state in TrialState}
        return Sums(
            asked=len(computed),
            complete=ended[TrialState.COMPLETE],
            pruned=ended[TrialState.PRUNED],
            failed=ended[TrialState.FAILED],
            running=ended[TrialState.RUNNING],
            again=origins.count(TrialOrigin.RETRY),
            warm=origins.count(TrialOrigin.WARM),
            ruled_out=origins.count(TrialOrigin.RULED_OUT),
        )

    @cached_property
    def until(self) -> float:
        """Return up to when the report tells, seconds since the epoch."""
        if self.facts.made_at is not None:
            return self.facts.made_at
        times = [trial.ended_at or trial.asked_at for trial in self.trials]
        return max([self.study.finished_at or 0.0, self.study.created_at, *times])

    def _counts(self, trial: Trial) -> bool:
        values = trial.values
        if trial.state is not TrialState.COMPLETE or values is None:
            return False
        return len(values) == len(self.spec.objectives) and all(map(isfinite, values))


def view(
    study: Study,
    spec: StudySpec,
    trials: Sequence[Trial],
    rungs: Mapping[int, Sequence[float]],
    facts: ReportFacts,
) -> View:
    """Put a study together, with trials by number."""
    ordered = tuple(sorted(trials, key=lambda trial: trial.number))
    return View(study=study, spec=spec, trials=ordered, rungs=rungs, facts=facts)


def value_of(trial: Trial, index: int = 0) -> float:
    """Return a value of a trial that has one."""
    assert trial.values is not None
    return trial.values[index]


def setting(trial: Trial, dimension: Dimension) -> Json:
    """Return a setting of a trial; None if it has none, or no number where numbers are searched."""
    value = trial.params.get(dimension.name)
    if dimension.kind != CHOICE and (isinstance(value, bool) or not isinstance(value, int | float)):
        return None
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[int]:
    """Return the numbers of the trials that no other is as good as in everything and better in something."""

    def losses(trial: Trial) -> tuple[float, ...]:
        values = trial.values or ()
        return tuple(
            -value if objective.better(1, 0) else value
            for value, objective in zip(values, objectives, strict=True)
        )

    kept: list[tuple[tuple[float, ...], int]] = []
    # What comes before in this order is never beaten by what comes after.
    for mine, number in sorted((losses(trial), trial.number) for trial in trials):
        beaten = any(
            other != mine and all(one <= own for one, own in zip(other, mine, strict=True))
            for other, _ in kept
        )
        if not beaten:
            kept.append((mine, number))
    return [number for _, number in kept]
