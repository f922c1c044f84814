"""Fit a detector to a category's normal images, from the newest checkpoint on."""

import time
from collections.abc import Callable
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors import registry, stages
from ad_detectors.api import Detector
from ad_detectors.data.images import train_images
from ad_detectors.data.splits import Holdout
from ad_detectors.fitting import run_fit
from ad_platform.storage.layout import model_prefix
from ad_platform.storage.metrics import segments
from ad_workers.checkpointer import Checkpointer
from ad_workers.context import AttemptContext
from ad_workers.desk import Desk
from ad_workers.images import open_images
from ad_workers.messages import Done
from ad_workers.publishing import publish
from ad_workers.reading import Counted
from ad_workers.starting import Start, start


def run(desk: Desk) -> Done:
    """Fit, and publish the fitted detector."""
    began = time.monotonic()
    spec, beginning = desk.spec, start(desk)
    detector = registry.create(spec.detector, spec.config)
    images = Counted(
        train_images(
            open_images(desk),
            int(str(spec.config["image_size"])),
            Path(desk.assignment.cache),
            spec.dataset.fingerprint,
            Holdout.parse(spec.holdout),
        )
    )
    context = _context(desk, detector, beginning, lambda: images.read)
    run_fit(detector, images, context)
    context.checkpointer.settle(context.step)
    return publish(
        desk,
        model_prefix(desk.assignment.job_id, desk.assignment.attempt),
        lambda folder: states.save_model(folder, spec.detector, spec.config, detector.state()),
        {
            "steps": context.step,
            "images": len(images),
            "fit_seconds": round(time.monotonic() - began, 3),  # of this attempt alone
            "metrics": {**context.last_metrics},
        },
    )


def _context(desk: Desk, detector: Detector, beginning: Start, read: Callable[[], int]) -> AttemptContext:
    """Return the context of this fit; a detector that was begun before is restored."""
    resumed, device = beginning.resumed, beginning.device
    meta = resumed.manifest.meta if resumed else {}
    if beginning.state_folder is not None:
        detector.restore(states.load(beginning.state_folder))
    checkpointer = Checkpointer(
        desk,
        save=lambda folder: states.save(detector.state(), folder, sync=False),
        meta=lambda: {
            "done": list(context.done),
            "threads": beginning.threads,
            "metrics": {**context.last_metrics},
        },
        every=desk.spec.checkpoint_every,
        committed=segments(resumed.manifest) if resumed else [],
    )
    context = AttemptContext(
        desk,
        detector,
        checkpointer,
        stages.keys(
            desk.spec.detector,
            desk.spec.config,
            fingerprint=desk.spec.dataset.fingerprint,
            split=Holdout.parse(desk.spec.holdout).key,
            precision="amp" if device.autocast else "fp32",
            seed=desk.spec.seed,
        ),
        read=read,
        device=device.device,
        seed=desk.spec.seed,
        autocast=device.autocast,
        done=list(meta.get("done", [])),  # type: ignore[arg-type]
        step=beginning.step,
    )
    context.last_metrics = dict(meta.get("metrics", {}))  # type: ignore[arg-type]
    return context
