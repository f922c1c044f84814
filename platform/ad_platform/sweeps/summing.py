"""What a study has come to so far, kept as trials end so that nobody need read all of them again."""

from collections.abc import Mapping, Sequence
from typing import Self

from ad_platform.records import Job, Study, Trial
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.states import TrialOrigin, TrialState
from ad_platform.sweeps.objectives import Objective
from ad_platform.sweeps.study_spec import StudySpec

Counts = Mapping[tuple[TrialOrigin, TrialState], int]


class Summary:
    """Best trial, ties, saturation and Pareto front of a study, and what was made of its best."""

    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self.taken = 0  # complete trials that went into what follows
        self.best: int | None = None  # by the first objective, then the next; of equal ones the first
        self.params: dict[str, Json] = {}  # of the best
        self.values: list[float] = []  # of the best
        self.ties = 0  # trials as good as the best in the first objective, itself included
        self.saturated = 0  # trials that rank every pair right
        self.front: dict[int, tuple[float, ...]] = {}  # of several objectives: trials that none beats in all
        self.final: dict[str, Json] = {}

    @classmethod
    def of(cls, study: Study, spec: StudySpec) -> Self:
        """Go on from what was kept; where nothing was, from nothing."""
        summary, kept = cls(spec), study.summary
        if not kept:
            return summary
        best, front = kept.get("best"), kept.get("front")
        if isinstance(best, dict):
            number, values, params = best.get("number"), best.get("values"), best.get("params")
            summary.best = number if isinstance(number, int) else None
            summary.values = [float(str(value)) for value in values] if isinstance(values, list) else []
            summary.params = dict(params) if isinstance(params, dict) else {}
        if isinstance(front, dict):
            summary.front = {int(name): tuple(map(float, value)) for name, value in front.items()}  # type: ignore[arg-type]
        for name in ("taken", "ties", "saturated"):
            value = kept.get(name)
            setattr(summary, name, value if isinstance(value, int) else 0)
        final = kept.get("final")
        summary.final = dict(final) if isinstance(final, dict) else {}
        return summary

    def ended(self, trial: Trial, jobs: Sequence[Job]) -> None:
        """Take in a trial that has ended."""
        if trial.state is not TrialState.COMPLETE or trial.values is None:
            return
        self.taken += 1
        self.saturated += bool(jobs) and all(_is_saturated(job) for job in jobs)
        if self.best is None or self.spec.objectives[0].better(trial.values[0], self.values[0]):
            self.ties = 0
        if self.best is None or _goes_before(self.spec.objectives, trial.values, self.values):
            self.best, self.values = trial.number, list(trial.values)
            self.params = dict(trial.params)
        self.ties += trial.values[0] == self.values[0]
        if len(self.spec.objectives) > 1:
            self._grow_front(trial.number, trial.values)

    def is_behind(self, counts: Counts) -> bool:
        """Say whether trials have ended that did not go in: somebody died before it was kept."""
        return self.taken != _sum(counts, TrialState.COMPLETE)

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """Start anew from all trials; saturation is not known of those that ended before."""
        final, saturated = self.final, self.saturated
        self.__init__(self.spec)  # type: ignore[misc]
        self.final = final
        for trial in trials:
            self.ended(trial, ())
        self.saturated = saturated

    def to_json(self, counts: Counts) -> dict[str, Json]:
        """Return what is kept, with the sums."""
        best: Json = None
        if self.best is not None:
            best = {"number": self.best, "values": list(self.values), "params": dict(self.params)}
        computed = {key: number for key, number in counts.items() if key[0] in _COMPUTED}
        sums = {state.value: _sum(computed, state) for state in TrialState}
        return {
            "asked": sum(sums.values()),
            **sums,
            "ruled_out": sum(n for (origin, _), n in counts.items() if origin is TrialOrigin.RULED_OUT),
            "warm": sum(n for (origin, _), n in counts.items() if origin is TrialOrigin.WARM),
            "best": best,
            "taken": self.taken,
            "ties": self.ties,
            "saturated": self.saturated,
            "front": {str(number): list(values) for number, values in self.front.items()},
            "final": dict(self.final),
        }

    def _grow_front(self, number: int, values: tuple[float, ...]) -> None:
        objectives = self.spec.objectives
        if any(_beats(objectives, other, values) for other in self.front.values()):
            return
        kept = {n: other for n, other in self.front.items() if not _beats(objectives, values, other)}
        self.front = {**kept, number: values}


_COMPUTED = (TrialOrigin.ASKED, TrialOrigin.RETRY)


def _goes_before(objectives: Sequence[Objective], one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether one is better in the first objective in which the two differ."""
    pairs = zip(objectives, one, other, strict=True)
    return next((each.better(a, b) for each, a, b in pairs if a != b), False)


def _beats(objectives: Sequence[Objective], one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether one is at least as good in every objective, and better in one."""
    as_good = all(not o.better(b, a) for o, a, b in zip(objectives, one, other, strict=True))
    return as_good and any(o.better(a, b) for o, a, b in zip(objectives, one, other, strict=True))


def _sum(counts: Counts, state: TrialState) -> int:
    return sum(number for (_, found), number in counts.items() if found is state)


def _is_saturated(job: Job) -> bool:
    metrics = result_of(job).metrics
    return any(metrics.get(f"{split}/saturated") == 1.0 for split in ("validation", "test"))
