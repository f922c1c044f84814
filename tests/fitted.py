"""A detector fitted to a few pictures and evaluated on them, and the jobs that would have done so."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from ad_detectors.checkpoint import CONFIG, TENSORS, VALUES
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.splits import Holdout
from ad_detectors.evaluation import write_results
from ad_detectors.local import evaluate_local, fit_local
from ad_detectors.testing import pictures, with_defect
from ad_platform.records import Capabilities, Holding, Job, Outcome
from ad_platform.specs import DatasetRef, JobSpec, Json, Submission
from ad_platform.states import AttemptOutcome, JobKind
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import model_prefix, results_prefix
from ad_platform.store.contract import Store

HOLDOUT = "10/20"
MODEL = "pixel_mean-parts-screw"


@dataclass(frozen=True)
class Fitted:
    """Where it all lies, and what the evaluation's record says."""

    detector: str
    category: Path
    model: Path
    results: Path
    result: Mapping[str, Json]

    def spec(self, kind: JobKind, **more: object) -> JobSpec:
        """Return the spec of a job on these pictures."""
        data = DatasetRef(
            dataset=self.category.parent.name,
            category=self.category.name,
            fingerprint=fingerprint(self.category),
            path=str(self.category),
        )
        spec = JobSpec(kind=kind, detector=self.detector, dataset=data, preset="tiny", holdout=HOLDOUT)
        return replace(spec, **more)  # type: ignore[arg-type]


def fit(folder: Path, side: int = 32) -> Fitted:
    """Fit the pixel mean to forty pictures, ten of them held out, and evaluate it."""
    category = folder / "parts" / "screw"
    spoilt = with_defect(pictures(4, side, seed=5))
    for place, images in {
        "train/good": pictures(40, side),
        "test/good": pictures(9, side, seed=4),
        "test/cut": spoilt,
    }.items():
        (category / place).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(category / place / f"{index}.png")
    return fit_to(folder, category, "pixel_mean", {"image_size": side, "blur_sigma": 0.5})


def fit_to(folder: Path, category: Path, name: str, config: Mapping[str, Json]) -> Fitted:
    """Fit a detector to a category and evaluate it."""
    holdout = Holdout.parse(HOLDOUT)
    detector = fit_local(name, config, category, folder / "fit", device="cpu", holdout=holdout)
    (folder / "model").mkdir()
    for part in (CONFIG, TENSORS, VALUES):  # not what helps to fit it again
        shutil.copy(folder / "fit" / part, folder / "model")
    evaluation = evaluate_local(detector, category, folder / "cache", holdout)
    write_results(evaluation, folder / "results", category.name)
    operating = json.loads((folder / "results" / "operating_point.json").read_text())
    intervals = {f"test/{name}": [each.low, each.high] for name, each in evaluation.intervals.items()}
    result: dict[str, Json] = {
        "operating_point": operating,
        "metrics": {**evaluation.flat()},
        "intervals": {**intervals},
    }
    return Fitted(name, category, folder / "model", folder / "results", result)


def trained(store: Store, storage: Storage, fitted: Fitted, queue: str = "default") -> Job:
    """Let a train job have fitted it; where workers live, in a queue that none of them serves."""
    job = _submitted(store, fitted.spec(JobKind.TRAIN), queue=queue)
    return succeed(store, storage, job, fitted.model, {})


def evaluated(store: Store, storage: Storage, fitted: Fitted, train: Job, **more: Json) -> Job:
    """Let an evaluation have scored it; `more` replaces parts of its result."""
    spec = fitted.spec(JobKind.EVALUATE, source=train.id)
    job = _submitted(store, spec, needs=(train.id,), queue=train.queue)
    return succeed(store, storage, job, fitted.results, {**fitted.result, **more})


def _submitted(store: Store, spec: JobSpec, needs: tuple[str, ...] = (), queue: str = "default") -> Job:
    return store.jobs.submit([Submission(spec=spec, user="kim", needs=needs, queue=queue)])[0]


def succeed(store: Store, storage: Storage, job: Job, folder: Path, result: Mapping[str, Json]) -> Job:
    """Let a worker have done a job, with what lies in a folder."""
    prefix = (model_prefix if job.kind is JobKind.TRAIN else results_prefix)(job.id, 1)
    data = job.spec.dataset
    store.workers.hold(
        [
            Holding(
                node="here",
                fingerprint=data.fingerprint,
                dataset=data.dataset,
                category=data.category,
                path=data.path,
            )
        ]
    )
    able = Capabilities(
        worker="w1", node="here", detectors=frozenset({job.spec.detector}), queues=frozenset({job.queue})
    )
    lease = store.leases.lease(able, 60.0, hint=job.id)
    assert lease is not None
    assert lease.job_id == job.id
    store.leases.note(lease, {"device": "cpu", "threads": 1})
    manifest = storage.publish(prefix, folder)
    place: dict[str, Json] = {"bundle": prefix, "manifest_sha256": manifest.sha256}
    done = Outcome(outcome=AttemptOutcome.SUCCEEDED, result={**place, **result})
    return store.leases.finish(lease, done)
