"""Fit a detector to a category's normal images, from the newest checkpoint on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ad_detectors import checkpoint as states
from ad_platform.benchmarks.addresses import MODEL
from ad_platform.storage.layout import model_prefix
from ad_workers.describing import address_of
from ad_workers.desk import Desk
from ad_workers.fitting import Fit, begin_fit, training_images
from ad_workers.images import open_images
from ad_workers.messages import Done
from ad_workers.publishing import publish
from ad_workers.sealing import sealed_off
from ad_workers.starting import start

if TYPE_CHECKING:
    from ad_detectors.api import State


def run(desk: Desk) -> Done:
    """Fit, and publish the fitted detector."""
    began = time.monotonic()
    beginning = start(desk)
    images = training_images(desk, open_images(desk, beginning.at))
    with sealed_off(desk):  # from here on the detector's code runs
        fit = begin_fit(desk, beginning, images)
        fit.run()
        context = fit.context
        context.checkpointer.settle(context.step)
        state = fit.detector.state()
    return _published(desk, fit, state, time.monotonic() - began)


def _published(desk: Desk, fit: Fit, state: State, seconds: float) -> Done:
    spec, context = desk.spec, fit.context
    return publish(
        desk,
        model_prefix(desk.assignment.job_id, desk.assignment.attempt),
        lambda folder: states.save_model(
            folder, spec.detector, spec.config, state, desk.assignment.selected_on
        ),
        {
            MODEL: address_of(spec),
            "steps": context.step,
            "images": len(fit.images),
            "fit_seconds": round(seconds, 3),  # of this attempt alone
            "stages": [{"stage": stage, "key": key} for stage, key in context.keys.items()],  # in order
            "metrics": {**context.last_metrics},
        },
    )
