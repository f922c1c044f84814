"""Fit a detector to a category's normal images, from the newest checkpoint on."""

import shutil
import time
from pathlib import Path

import torch

from ad_detectors import checkpoint as states
from ad_detectors import registry, stages
from ad_detectors.api import Detector
from ad_detectors.data.images import train_images
from ad_detectors.device import Device, choose
from ad_detectors.fitting import run_fit
from ad_platform.specs import Json
from ad_platform.storage.checkpoints import Resumable
from ad_platform.storage.layout import model_prefix
from ad_platform.storage.metrics import segments
from ad_workers.checkpointer import Checkpointer
from ad_workers.context import AttemptContext
from ad_workers.desk import Desk
from ad_workers.images import open_images
from ad_workers.messages import Done, Note, Report


def run(desk: Desk) -> Done:
    """Fit, and publish the fitted detector."""
    started = time.monotonic()
    resumed = desk.resume()
    device = choose(desk.spec.device)
    threads = _set_threads(desk, resumed)
    _tell(desk, device, threads, resumed)
    desk.say(Report(step=_number(resumed, "step"), of=_number(resumed, "of"), message="reading images"))
    images = train_images(
        open_images(desk),
        int(str(desk.spec.config["image_size"])),
        Path(desk.assignment.cache),
        desk.spec.dataset.fingerprint,
    )
    detector = registry.create(desk.spec.detector, desk.spec.config)
    context = _context(desk, detector, device, threads, resumed)
    run_fit(detector, images, context)
    context.checkpointer.write(context.step, context.step)
    return _publish(desk, detector, context, time.monotonic() - started)


def _set_threads(desk: Desk, resumed: Resumable | None) -> int:
    """Compute with as many threads as before: two against one give other bits."""
    threads = _number(resumed, "threads") or desk.assignment.threads
    torch.set_num_threads(threads)
    return threads


def _tell(desk: Desk, device: Device, threads: int, resumed: Resumable | None) -> None:
    facts: dict[str, Json] = {
        "device": str(device.device),
        "device_reason": device.reason,
        "threads": threads,
        "torch": torch.__version__,
    }
    if resumed is not None:
        facts |= {"resumed_step": _number(resumed, "step"), "resumed_from": resumed.prefix}
        for line in resumed.broken:
            print(f"passed over a checkpoint: {line}", flush=True)  # noqa: T201 - the attempt's log
    desk.say(Note(facts=facts))
    print(" ".join(f"{name}={value}" for name, value in facts.items()), flush=True)  # noqa: T201


def _context(
    desk: Desk, detector: Detector, device: Device, threads: int, resumed: Resumable | None
) -> AttemptContext:
    done: list[str] = []
    if resumed is not None:
        detector.restore(states.load(desk.scratch / "resume" / resumed.prefix.rsplit("/", 1)[1]))
        done = [str(name) for name in resumed.manifest.meta["done"]]  # type: ignore[union-attr]
    checkpointer = Checkpointer(
        desk,
        save=lambda folder: states.save(detector.state(), folder),
        meta=lambda: {
            "done": list(context.done),
            "threads": threads,
            "metrics": {**context.last_metrics},
        },
        every=desk.spec.checkpoint_every,
        committed=segments(resumed.manifest) if resumed else [],
    )
    precision = "amp" if device.autocast else "fp32"
    context = AttemptContext(
        desk,
        detector,
        checkpointer,
        stages.keys(
            desk.spec.detector,
            desk.spec.config,
            fingerprint=desk.spec.dataset.fingerprint,
            split="train/good",
            precision=precision,
            seed=desk.spec.seed,
        ),
        device=device.device,
        seed=desk.spec.seed,
        autocast=device.autocast,
        done=done,
        step=_number(resumed, "step"),
    )
    if resumed is not None:
        context.last_metrics = dict(resumed.manifest.meta.get("metrics", {}))  # type: ignore[arg-type]
    return context


def _publish(desk: Desk, detector: Detector, context: AttemptContext, seconds: float) -> Done:
    folder = desk.scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    states.save_model(folder, desk.spec.detector, desk.spec.config, detector.state())
    desk.guard()
    prefix = model_prefix(desk.assignment.job_id, desk.assignment.attempt)
    manifest = desk.storage.publish(prefix, folder, {"job": desk.assignment.job_id})
    result: dict[str, Json] = {
        "bundle": prefix,
        "manifest_sha256": manifest.sha256,
        "size": manifest.size,
        "steps": context.step,
        "fit_seconds": round(seconds, 3),  # of this attempt alone
        "metrics": {**context.last_metrics},
    }
    desk.guard()
    return Done(result=result)


def _number(resumed: Resumable | None, name: str) -> int:
    return int(str(resumed.manifest.meta.get(name, 0))) if resumed else 0
