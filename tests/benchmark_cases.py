"""Benchmarks on a real store with hands that compute a formula, and views of any size made up by it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ad_platform.benchmarks.addresses import MODEL, RULES, model_address, rules_of
from ad_platform.benchmarks.asking import BenchmarkRequest
from ad_platform.benchmarks.steering import Benchmarks
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.records import Benchmark, Capabilities, Holding, Job, Lease, Outcome
from ad_platform.results import SELECTED_ON
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from clientkit import ENTRY, Bench

if TYPE_CHECKING:
    from ad_detectors.metrics.bootstrap import Evidence

OTHER: dict[str, Json] = {
    **ENTRY,  # type: ignore[dict-item]
    "name": "other",
    "published": {},
    "versions": {"decoding": 1, "splits": 1, "evaluation": 1, "source": None},
}
TOY: dict[str, Json] = {**ENTRY, "versions": OTHER["versions"]}  # type: ignore[dict-item]


def data(category: str, dataset: str = "mvtec", content: str = "") -> DatasetRef:
    """A category of a dataset, as some content has it."""
    mark = f"{dataset}{category}{content}".encode().hex()[:64].ljust(64, "0")
    return DatasetRef(
        dataset=dataset, category=category, fingerprint=mark, path=f"/data/{dataset}/{category}"
    )


CATEGORIES = tuple(data(name) for name in ("screw", "carpet", "grid"))


def formula(spec: JobSpec) -> float:
    """What a model measures: "other" is a little better, each seed a little different."""
    of_category = {"screw": 0.80, "carpet": 0.90, "grid": 0.85}.get(spec.dataset.category, 0.7)
    return round(of_category + (0.05 if spec.detector == "other" else 0.0) + 0.01 * spec.seed, 6)


@dataclass
class Yard:
    """A home with a client, benchmarks, and hands that do their jobs."""

    bench: Bench
    measure: Callable[[JobSpec], float] = formula
    evidence: "Callable[[JobSpec], Evidence] | None" = None  # what evaluations leave in the storage
    fitted: list[Job] = field(default_factory=list)  # every training that was done
    scored: list[Job] = field(default_factory=list)  # every evaluation that was done

    def __post_init__(self) -> None:
        self.store, self.client = self.bench.store, self.bench.client
        self.benchmarks = Benchmarks(self.client)
        self.publish()
        self.hold(CATEGORIES)

    def publish(self, **versions: Json) -> None:
        """Let workers describe their detectors, with other versions where some are given."""
        more = {**OTHER["versions"], **versions}  # type: ignore[dict-item]
        entries = {"toy": {**TOY, "versions": more}, "other": {**OTHER, "versions": more}}
        self.store.workers.publish(entries, "w0")

    def hold(self, categories: Sequence[DatasetRef]) -> None:
        """Let this node have categories."""
        self.store.workers.hold(
            [
                Holding(
                    node="here",
                    fingerprint=one.fingerprint,
                    dataset=one.dataset,
                    category=one.category,
                    path=one.path,
                )
                for one in categories
            ]
        )

    def request(self, **more: Any) -> BenchmarkRequest:
        """Ask for two models on three categories with two seeds, or for something else."""
        usual = BenchmarkRequest(models=("toy", "other"), categories=CATEGORIES, seeds=2)
        return replace(usual, **more)

    def submit(self, **more: Any) -> Benchmark:
        """Submit a benchmark."""
        return self.benchmarks.submit(self.benchmarks.plan(self.request(**more)))

    def view(self, benchmark: Benchmark) -> BenchmarkView:
        """Return how it stands."""
        return self.benchmarks.view(self.benchmarks.find(benchmark.id))

    def lease(self) -> Lease | None:
        """Take the next job."""
        able = Capabilities(worker="w1", node="here", detectors=frozenset({"toy", "other"}))
        return self.store.leases.lease(able, 60.0)

    def do(self, lease: Lease) -> Job:
        """Do a job as a worker would."""
        job = lease.job
        (self.fitted if job.kind is JobKind.TRAIN else self.scored).append(job)
        result: dict[str, Json] = {"bundle": f"jobs/{job.id}/x/a1"}
        if self.evidence is not None and job.kind is JobKind.EVALUATE:
            result["bundle"] = self._publish_evidence(job)
        entry = self.client.catalogue().entry(job.spec.detector)
        if job.kind is JobKind.TRAIN:
            result |= {"steps": 3, MODEL: model_address(entry, job.spec), "fit_seconds": 1.5}
        else:
            value = self.measure(job.spec)
            result |= {
                RULES: dict(rules_of(entry)),
                "images": 40,
                "ms_per_image": 2.0,
                "metrics": {
                    "test/image_auroc": value,
                    "test/pixel_auroc": value - 0.1,
                    "test/aupro_30": value - 0.2,
                },
                "intervals": {"test/image_auroc": [value - 0.02, min(1.0, value + 0.02)]},
            }
        return self.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))

    def _publish_evidence(self, job: Job) -> str:
        """Leave the scores of an evaluation where a worker would."""
        from ad_detectors.metrics import evidence_file

        assert self.evidence is not None
        prefix = f"jobs/{job.id}/results/a1"
        with TemporaryDirectory() as folder:
            evidence_file.save(self.evidence(job.spec), Path(folder))
            (Path(folder) / "picture.png").write_bytes(b"big")
            self.client.storage.publish(prefix, Path(folder))
        return prefix

    def fail(self, lease: Lease) -> Job:
        """Let an attempt fail for good."""
        outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CONFIG, error="it broke")
        return self.store.leases.finish(lease, outcome)

    def work(self, most: int = 1000, fails: Callable[[Job], bool] = lambda job: False) -> int:
        """Do what can be done, let some of it fail, and say how many jobs that were."""
        for done in range(most):
            lease = self.lease()
            if lease is None:
                return done
            _ = self.fail(lease) if fails(lease.job) else self.do(lease)
        return most


def on_test(job: Job) -> bool:
    """Say whether test images chose the settings of a job."""
    return job.tags.get(SELECTED_ON) == "test"
