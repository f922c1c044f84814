"""When a sweep ends, how much the choice of its best flatters is estimated from the scores of its trials."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import pytest

from ad_detectors.metrics.ranking import auroc
from ad_platform.records import Job, Lease, Outcome, Study
from ad_platform.specs import Json
from ad_platform.states import AttemptOutcome, JobKind
from ad_platform.storage.layout import results_prefix
from ad_platform.sweeps.concluding import Conclusion
from ad_platform.sweeps.report import Optimism, facts_of, report_of
from ad_platform.sweeps.study_spec import StudySpec
from ad_workers.selection import flattery
from sweepkit import METRIC, Field

PICTURES = [(f"train/good/{number}.png", label) for number in range(25) for label in (0, 1)]


class Scoring:
    """A worker whose trials know nothing, and leave their scores behind."""

    def __init__(self, ground: Field) -> None:
        self.ground, self.storage = ground, ground.client.storage
        self.missing: set[str] = set()  # numbers of trials whose scores are lost

    def work(self) -> None:
        while (lease := self.ground.lease()) is not None:
            _ = self.trial(lease) if lease.job.kind is JobKind.TRIAL else self.ground.do(lease)

    def trial(self, lease: Lease) -> Job:
        random = Random(f"luck {lease.job.tags['trial']}/{lease.job.spec.seed}")
        scores = [random.gauss(0, 1) for _ in PICTURES]
        value = auroc(scores, [label for _, label in PICTURES])
        folder = self.ground.bench.home / "made"
        folder.mkdir(exist_ok=True)
        rows = [
            f"{path},{label},{'blob' if label else 'good'},{score!r},validation"
            for (path, label), score in zip(PICTURES, scores, strict=True)
        ]
        (folder / "scores.csv").write_text("\n".join(["path,label,defect,score,split", *rows, ""]))
        prefix = results_prefix(lease.job_id, lease.attempt)
        if lease.job.tags["trial"] not in self.missing:
            self.storage.publish(prefix, folder)
        result: Mapping[str, Json] = {"metrics": {METRIC: value, "latency_ms": 5.0}, "bundle": prefix}
        outcome = Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result)
        return self.ground.store.leases.finish(lease, outcome)


@pytest.fixture
def scoring(ground: Field) -> Scoring:
    return Scoring(ground)


def ended(ground: Field, scoring: Scoring, **more: object) -> Study:
    """Run a sweep to its end, as the sweeper does."""
    study = ground.submit("noise_step=50:500:25", "w=0:12", sampler="random", parallel=9, **more)

    def flattered(study: Study, spec: StudySpec) -> Mapping[str, Json] | None:
        found = flattery(ground.store, scoring.storage, study, spec)
        return None if found is None else asdict(found)

    advancer = replace(ground.advancer(), conclude=Conclusion(ground.store, flattered))
    for _ in range(100):
        advancer.advance(study.id)
        study = ground.store.studies.get(study.id)
        if study.state == "finished":
            return study
        scoring.work()
    raise AssertionError("the sweep never ended")


def told(study: Study) -> Optimism | None:
    return facts_of(study, StudySpec.from_json(study.spec)).optimism


def test_a_sweep_of_trials_that_know_nothing_says_so(ground: Field, scoring: Scoring, tmp_path: Path) -> None:
    study = ended(ground, scoring, trials=27)
    found = told(study)
    assert found is not None
    assert found.selected == study.summary["best"]["values"][0]  # type: ignore[index,call-overload]
    assert found.selected > 0.6
    assert abs(found.corrected - 0.5) < 0.12
    assert (found.trials, found.images) == (27, 25)
    report_of(ground.store, study, tmp_path / "out")
    assert "is luck of the choice" in (tmp_path / "out" / "report.html").read_text()


def test_trials_that_lost_their_scores_are_left_out_and_without_the_best_nothing_is_said(
    ground: Field, scoring: Scoring
) -> None:
    scoring.missing = {"0", "8"}  # not the best of them
    found = told(ended(ground, scoring, trials=9, name="some"))
    assert found is not None
    assert found.trials == 9
    scoring.missing = {str(number) for number in range(9)}
    assert told(ended(ground, scoring, trials=9, name="none")) is None


def test_repeats_are_taken_together_and_other_objectives_are_not_estimated(
    ground: Field, scoring: Scoring
) -> None:
    found = told(ended(ground, scoring, trials=9, seeds=2, name="twice"))
    assert found is not None
    assert abs(found.corrected - 0.5) < 0.15
    assert told(ended(ground, scoring, trials=3, objectives=("latency_ms",), name="fast")) is None
