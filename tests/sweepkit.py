"""Sweeps on a real store and a real Optuna storage, with workers that compute a formula."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ad_platform.records import Capabilities, Holding, Job, Lease, Outcome, Progress, Study
from ad_platform.requests import TrainRequest
from ad_platform.specs import DatasetRef, Json
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from ad_platform.sweeps.advancing import Advancer
from ad_platform.sweeps.asking import SweepRequest
from ad_platform.sweeps.concluding import Conclusion
from ad_platform.sweeps.optuna_study import OptunaStudy, close_storage, open_storage
from ad_platform.sweeps.steering import Sweeps
from ad_platform.sweeps.viewing import SweepView
from clientkit import Bench, bench

# Two stages: `steps` decides the training, the rest only the scores.
ENTRY: dict[str, Json] = {
    "name": "slope",
    "summary": "A formula for tests.",
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "image_size": {"type": "integer", "minimum": 8, "maximum": 512, "default": 32},
            "steps": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
            "levels": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 300},
            "noise_step": {"type": "integer", "minimum": 1, "maximum": 999, "default": 100},
            "w": {"type": "number", "minimum": 0, "maximum": 20, "default": 1.0},
            "mode": {"enum": ["mean", "max"], "type": "string", "default": "mean"},
            "even": {"type": "integer", "minimum": 2, "maximum": 100, "multipleOf": 2, "default": 2},
            "strides": {"type": "array", "items": {"type": "integer", "minimum": 1}, "default": [1, 2]},
        },
    },
    "presets": {"tiny": {"steps": 2}},
    "published": {"paper": {"source": "Table 1", "base": {"steps": 5}, "categories": {"screw": {}}}},
    "default_preset": "tiny",
    "space": {"noise_step": {"low": 50, "high": 500, "step": 25}, "w": {"low": 0.0, "high": 12.0}},
    "stages": [
        {"name": "net", "version": 1, "fields": ["image_size", "steps", "levels"]},
        {"name": "score", "version": 1, "fields": ["noise_step", "w", "mode", "even", "strides"]},
    ],
    "rules": [
        {"holds": "noise_step <= levels", "message": "noise_step = {noise_step} exceeds levels = {levels}"}
    ],
}
DATA = DatasetRef(dataset="parts", category="screw", fingerprint="f" * 64, path="/data/parts/screw")
METRIC = "validation/image_auroc"
SPACE = ("noise_step=50:300:25", "w=0:12")


def peak(config: Mapping[str, Json]) -> float:
    """Return a measure that is best at noise step 150 and w 3."""
    return 1.0 - abs(float(str(config["noise_step"])) - 150) / 1000 - abs(float(str(config["w"])) - 3) / 100


@dataclass
class Field:
    """A home with a client, sweeps, and hands that take them further."""

    bench: Bench
    value: Callable[[Mapping[str, Json]], float] = peak
    trained: list[Job] = field(default_factory=list)  # every training that was computed
    opened: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store, self.client = self.bench.store, self.bench.client
        self.sweeps = Sweeps(self.client)
        self.store.workers.publish({"slope": ENTRY}, "w0")
        self.store.workers.hold(
            [
                Holding(
                    node="here",
                    fingerprint=DATA.fingerprint,
                    dataset="parts",
                    category="screw",
                    path=DATA.path,
                )
            ]
        )
        self.able = Capabilities(worker="w1", node="here", detectors=frozenset({"slope"}))

    def request(self, *params: str, **more: object) -> SweepRequest:
        """Ask for a sweep of the formula."""
        train = more.pop("train", TrainRequest(detector="slope", dataset=DATA))
        return SweepRequest(train=train, params=params, **more)  # type: ignore[arg-type]

    def submit(self, *params: str, **more: object) -> Study:
        """Submit a sweep."""
        return self.sweeps.submit(self.sweeps.plan(self.request(*params, **more)))

    def advancer(self, owner: str = "me") -> Advancer:
        """Return what a new process would advance with: nothing of the one before is known."""
        storage = self.opened[-1] if self.opened and self._is_there() else self.open_storage()
        return Advancer(
            store=self.store,
            owner=owner,
            entry=self.client.catalogue().entry,
            open=lambda study, spec: OptunaStudy(storage, study, spec),
            conclude=Conclusion(self.store),
        )

    def open_storage(self) -> Any:
        """Open Optuna's storage as a new process would."""
        self.opened.append(open_storage(self.client.settings))
        return self.opened[-1]

    def _is_there(self) -> bool:
        """Say whether Optuna's storage was not removed; to open it takes a quarter of a second."""
        settings = self.client.settings
        return not settings.embedded or (settings.home / "optuna.db").exists()

    def lease(self) -> Lease | None:
        """Take the next job."""
        return self.store.leases.lease(self.able, 60.0)

    def do(self, lease: Lease) -> Job:
        """Do a job as a worker would."""
        if lease.job.kind is JobKind.TRAIN:
            self.trained.append(lease.job)
        metrics: dict[str, Json] = {METRIC: self.value(lease.job.spec.config), "latency_ms": 5.0}
        if lease.job.kind is JobKind.EVALUATE:
            metrics["test/image_auroc"] = self.value(lease.job.spec.config) - 0.1
        result: dict[str, Json] = {"metrics": metrics, "bundle": f"jobs/{lease.job_id}/model/a1"}
        return self.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))

    def work(self, most: int = 1000) -> int:
        """Do what can be done, and say how many jobs that were."""
        for done in range(most):
            lease = self.lease()
            if lease is None:
                return done
            self.do(lease)
        return most

    def fail(self, lease: Lease, failure: FailureClass = FailureClass.CONFIG) -> Job:
        """Let an attempt fail."""
        outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=failure, error="it broke")
        return self.store.leases.finish(lease, outcome)

    def show(self, lease: Lease, rungs: Sequence[float]) -> None:
        """Let a trial report what it has reached."""
        metrics = {f"rung/{number}": value for number, value in enumerate(rungs, 1)}
        self.store.leases.renew(lease, Progress(step=len(rungs), of=8, metrics=metrics))

    def run(self, study: Study, rounds: int = 500) -> Study:
        """Advance and work until the sweep has ended."""
        advancer = self.advancer()
        for _ in range(rounds):
            advancer.advance(study.id)
            if self.store.studies.get(study.id).state.value in ("finished", "stopped"):
                return self.store.studies.get(study.id)
            self.work()
        raise AssertionError("the sweep never ended")

    def in_optuna(self, study: Study) -> dict[str, int]:
        """Return how many trials Optuna has in each state."""
        import optuna

        storage = self.opened[-1] if self.opened else self.open_storage()
        found = optuna.load_study(study_name=study.name, storage=storage)
        states = [trial.state.name for trial in found.get_trials(deepcopy=False)]
        return {state: states.count(state) for state in sorted(set(states))}


@contextmanager
def sweep_field(template: Path, folder: Path, database: str = "") -> Iterator[Field]:
    """Give a fresh home for sweeps."""
    with bench(template, folder, database) as made:
        ground = Field(made)
        yield ground
        for storage in ground.opened:
            close_storage(storage)


def sums(ground: Field, study: Study) -> SweepView:
    """Check that everything adds up, and return how the sweep stands."""
    view = ground.sweeps.view(ground.store.studies.get(study.id))
    assert view.asked == view.complete + view.pruned + view.failed + view.running
    theirs = ground.in_optuna(study)
    assert sum(theirs.values()) == view.asked + view.ruled_out + view.warm
    assert theirs.get("COMPLETE", 0) == view.complete + view.warm
    assert theirs.get("PRUNED", 0) == view.pruned
    assert theirs.get("RUNNING", 0) == view.running
    numbers = [trial.number for trial in ground.store.studies.trials(study.id)]
    assert numbers == list(range(len(numbers)))
    return view
