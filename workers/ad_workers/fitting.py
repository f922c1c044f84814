"""A fit at a desk, from the newest checkpoint on: what training a model and trying settings share."""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors import registry, stages
from ad_detectors.api import Detector, Ranks
from ad_detectors.data.images import train_images
from ad_detectors.data.layout import Category
from ad_detectors.data.splits import Holdout
from ad_detectors.fitting import run_fit
from ad_detectors.ranks import Alone
from ad_platform.specs import Json
from ad_platform.storage.metrics import segments
from ad_workers.checkpointer import Checkpointer
from ad_workers.context import AttemptContext
from ad_workers.desk import Desk
from ad_workers.dividing import divide
from ad_workers.exits import Exit
from ad_workers.messages import Beginning, Failed, Note, encode
from ad_workers.reading import Counted
from ad_workers.starting import Start, number


@dataclass(frozen=True)
class Fit:
    """A detector, the images it learns from, and who watches over it."""

    detector: Detector
    images: Counted
    context: AttemptContext

    def run(self) -> None:
        """Fit what no stored stage has; see `run_fit` for what it raises."""
        team = self.context.desk.team
        with team.explaining() if team is not None else nullcontext():
            run_fit(self.detector, self.images, self.context)


def training_images(desk: Desk, category: Category) -> Counted:
    """Open the normal images that a job's fit learns from."""
    return Counted(
        train_images(
            category,
            int(str(desk.spec.config["image_size"])),
            Path(desk.assignment.cache),
            desk.spec.dataset.fingerprint,
            Holdout.parse(desk.spec.holdout),
            labels=registry.describe(desk.spec.detector).supervised,
        )
    )


def begin_fit(desk: Desk, beginning: Start, images: Counted, *, after: int = 0, anew: bool = False) -> Fit:
    """Return the fit of a job to images, restored from the checkpoint it goes on from.

    `after` more steps of something else follow its own. A fit that is begun `anew` takes its stages from
    where they are stored, and counts its steps from those of the checkpoint, which holds nothing of it.
    """
    detector = registry.create(desk.spec.detector, desk.spec.config)
    divide(desk, detector, can=detector.divides)
    return Fit(detector, images, _context(desk, detector, beginning, images, after=after, anew=anew))


def _context(
    desk: Desk, detector: Detector, beginning: Start, images: Counted, *, after: int, anew: bool
) -> AttemptContext:
    resumed, device = beginning.resumed, beginning.device
    meta = resumed.manifest.meta if resumed and not anew else {}
    before = beginning.step if anew else number(resumed, "before")
    if beginning.state_folder is not None and not anew:
        detector.restore(states.load(beginning.state_folder))

    def told() -> dict[str, Json]:
        about: dict[str, Json] = {
            "done": list(context.done),
            "threads": beginning.threads,
            "metrics": {**context.last_metrics},
        }
        return {**about, "before": before} if before else about

    checkpointer = Checkpointer(
        desk,
        save=lambda folder: states.save(detector.state(), folder, sync=False),
        meta=told,
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
            precision=device.precision,
            seed=desk.spec.seed,
        ),
        read=lambda: images.read,
        before=before,
        after=after,
        device=device.device,
        seed=desk.spec.seed,
        autocast=device.autocast,
        done=list(meta.get("done", [])),  # type: ignore[arg-type]
        step=beginning.step - before,
        ranks=_ranks(desk, detector, beginning, meta, beginning.step - before),
    )
    context.last_metrics = dict(meta.get("metrics", {}))  # type: ignore[arg-type]
    return context


def _ranks(desk: Desk, detector: Detector, beginning: Start, meta: Mapping[str, Json], step: int) -> Ranks:
    """Have the other ranks of an attempt take part, where the detector has work for them.

    `meta` is that of the checkpoint whose state the detector has, empty without one.
    """
    team = desk.team
    if team is None:
        return Alone()
    if not registry.parallel_of(type(detector)):
        print(f"detector '{desk.spec.detector}' fits on one device: its other cards idle", flush=True)  # noqa: T201
        team.close()
        desk.team = None
        return Alone()
    device = beginning.device
    desk.say(Note(facts={"ranks": team.size}))
    about = Beginning(
        assignment=encode(desk.assignment).decode(),
        pictures=str(desk.pictures or desk.assignment.data),
        meeting=str(desk.scratch / "ranks"),
        device=device.device.type,
        threads=beginning.threads,
        autocast=device.autocast,
        state=str(beginning.state_folder) if meta and beginning.state_folder else None,
        done=list(meta.get("done", [])),  # type: ignore[arg-type]
        step=step,
    )

    def fell(failure: Failed) -> None:
        print(failure.error, flush=True)  # noqa: T201 - the attempt's log
        desk.say(failure)
        os._exit(Exit.FAILED)  # the main thread may wait for that rank for ever

    return team.begin(about, device.device, fell)
