"""The end of a study: its best settings are trained and evaluated, beside those it began with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ad_platform.records import Job, Study
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.summing import Summary
from ad_platform.sweeps.work import EVALUATE, PRESET, TRAIN, Work, final_keys

Flattered = Callable[[Study, StudySpec], Mapping[str, Json] | None]  # how much the selection flatters


@dataclass
class Conclusion:
    """Trains and evaluates the best of a study; what came of it is kept in the summary."""

    store: Store
    flattered: Flattered = lambda study, spec: None

    def __call__(self, work: Work, summary: Summary) -> bool:
        """Submit what is missing; say whether all of it has ended."""
        if summary.best is None:
            summary.final = {}
            return True
        told: dict[str, Json] = {"number": summary.best}
        best = self._jobs(work, summary.best, summary.params)
        told |= _told(best)
        if self._knows_training(work):
            preset = self._jobs(work, PRESET, {})
            told["preset"] = _told(preset)
            best = {**best, **{f"{PRESET} {name}": job for name, job in preset.items()}}
        done = all(job.state.terminal for job in best.values())
        if done:
            flattered = self.flattered(work.study, work.spec)
            told["optimism"] = dict(flattered) if flattered is not None else None
        summary.final = told
        return done

    def _jobs(self, work: Work, which: int | str, params: Mapping[str, Json]) -> dict[str, Job]:
        keys = final_keys(work.study, which)
        found = self.store.jobs.of_keys(list(keys.values()))
        if len(found) < len(keys):
            submissions = work.with_memory(self.store, work.of_final(which, params))
            found = {str(job.key): job for job in self.store.jobs.submit(submissions)}
        return {name: found[key] for name, key in keys.items()}

    def _knows_training(self, work: Work) -> bool:
        """Say whether the settings that the study began with need no training of their own."""
        keys = [key for key in work.training_keys({})[:1] if key is not None]
        jobs = self.store.jobs.of_keys(keys).values()
        return any(job.state is JobState.SUCCEEDED for job in jobs)


def _told(jobs: Mapping[str, Job]) -> dict[str, Json]:
    """Return what is kept of a training and its evaluation."""
    told: dict[str, Json] = {name: job.id for name, job in jobs.items()}
    evaluation = jobs[EVALUATE]
    if evaluation.state is JobState.SUCCEEDED:
        told["metrics"] = dict(result_of(evaluation).metrics)
        told["intervals"] = evaluation.result.get("intervals")
    bad = next((jobs[name] for name in (TRAIN, EVALUATE) if jobs[name].state in _BAD), None)
    if bad is not None:
        told["error"] = f"job {bad.id} {bad.state}: {bad.error}"
    return told


_BAD = (JobState.FAILED, JobState.CANCELLED)
