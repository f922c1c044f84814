"""Score a category's test images with a fitted detector and measure how well it tells them apart."""

import time
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors.data.images import test_images
from ad_detectors.evaluation import PartialEvaluation, evaluate, write_results
from ad_platform.errors import InvalidRequest
from ad_platform.specs import Json
from ad_platform.storage.layout import results_prefix
from ad_platform.storage.metrics import segments
from ad_workers.checkpointer import Checkpointer
from ad_workers.desk import Desk
from ad_workers.images import open_images
from ad_workers.messages import Done, Report
from ad_workers.publishing import publish
from ad_workers.starting import Start, start


def run(desk: Desk) -> Done:
    """Evaluate the model of the source job, going on from what was scored before."""
    began = time.monotonic()
    beginning = start(desk)
    category = open_images(desk)
    detector = states.load_model(_fetch_model(desk), beginning.device.device)
    images = test_images(
        category,
        detector.config.image_size,
        Path(desk.assignment.cache),
        desk.spec.dataset.fingerprint,
    )
    scored = _restored(beginning)
    evaluation = evaluate(detector, images, _Reporter(desk, beginning, scored), done=scored)
    seconds = time.monotonic() - began
    metrics: dict[str, Json] = {f"test/{name}": value for name, value in evaluation.metrics.items()}
    return publish(
        desk,
        results_prefix(desk.assignment.job_id, desk.assignment.attempt),
        lambda folder: write_results(evaluation, folder, category.category),
        {"images": len(images), "seconds": round(seconds, 3), "metrics": metrics},
    )


def _fetch_model(desk: Desk) -> Path:
    if desk.assignment.source is None:
        raise InvalidRequest(
            f"job {desk.spec.source} has no fitted model to evaluate; it must have succeeded"
        )
    folder = desk.scratch / "model"
    desk.storage.fetch(desk.assignment.source, folder)
    return folder


def _restored(beginning: Start) -> PartialEvaluation:
    if beginning.state_folder is None:
        return PartialEvaluation()
    return PartialEvaluation.restore(states.load(beginning.state_folder))


class _Reporter:
    """Called after each batch of images: progress up, orders down, a checkpoint when it is worth it."""

    def __init__(self, desk: Desk, beginning: Start, scored: PartialEvaluation) -> None:
        self.desk = desk
        self.checkpointer = Checkpointer(
            desk,
            save=lambda folder: states.save(scored.state(), folder, sync=False),
            meta=lambda: {"threads": beginning.threads},
            committed=segments(beginning.resumed.manifest) if beginning.resumed else [],
        )

    def __call__(self, batch: int, of: int) -> None:
        """Report that this many batches of all are scored; raises Stop when told to stop."""
        self.desk.say(Report(step=batch, of=of, message="scoring test images"))
        self.checkpointer.safe_point(batch, of)
