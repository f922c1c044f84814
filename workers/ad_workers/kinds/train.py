"""Fit a detector to a category's normal images, from the newest checkpoint on."""

import time

from ad_detectors import checkpoint as states
from ad_platform.benchmarks.addresses import MODEL
from ad_platform.storage.layout import model_prefix
from ad_workers.describing import address_of
from ad_workers.desk import Desk
from ad_workers.fitting import begin_fit
from ad_workers.images import open_images
from ad_workers.messages import Done
from ad_workers.publishing import publish
from ad_workers.starting import start


def run(desk: Desk) -> Done:
    """Fit, and publish the fitted detector."""
    began = time.monotonic()
    spec, beginning = desk.spec, start(desk)
    fit = begin_fit(desk, beginning, open_images(desk))
    fit.run()
    context = fit.context
    context.checkpointer.settle(context.step)
    return publish(
        desk,
        model_prefix(desk.assignment.job_id, desk.assignment.attempt),
        lambda folder: states.save_model(folder, spec.detector, spec.config, fit.detector.state()),
        {
            MODEL: address_of(spec),
            "steps": context.step,
            "images": len(fit.images),
            "fit_seconds": round(time.monotonic() - began, 3),  # of this attempt alone
            "stages": [{"stage": stage, "key": key} for stage, key in context.keys.items()],  # in order
            "metrics": {**context.last_metrics},
        },
    )
