"""What a rank other than 0 does: the same steps as rank 0, on its part of each batch, and nothing outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import torch

from ad_detectors import checkpoint as states
from ad_detectors import heap, registry
from ad_detectors.data.images import train_images
from ad_detectors.data.layout import open_category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import StateError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.ranks import Together
from ad_detectors.seal import sealed_from
from ad_platform.specs import JobSpec
from ad_workers.messages import Assignment, Beginning, Decision, decode
from ad_workers.sealing import free, places

if TYPE_CHECKING:
    from ad_detectors.api import Detector


class Released(BaseException):
    """What is left of the fit is rank 0's alone. Not an Exception, so that no detector can swallow it."""


class RankContext(ContextCore):
    """Runs a fit's parallel stages as rank 0 decides about them."""

    def __init__(self, detector: Detector, decisions: BinaryIO, ranks: Together, **core: object) -> None:
        super().__init__(detector, ranks=ranks, **core)  # type: ignore[arg-type]
        self._decisions = decisions

    def begin(self, stage: str) -> bool:
        """Do as rank 0 does; leave the fit at the first stage that is not parallel."""
        decision = self._next()
        if decision.stage != stage:
            raise StateError(f"this rank begins stage '{stage}' where rank 0 begins '{decision.stage}'")
        if stage not in registry.parallel_of(type(self.detector)):
            raise Released
        if decision.found is not None:
            self.detector.restore(states.load(Path(decision.found)))
            self._may_jump = True
        if not decision.fit:
            if stage not in self.done:
                self.done.append(stage)
            return False
        self._within = stage
        return True

    def end(self, stage: str) -> None:
        """Go on; rank 0 looks at the result and stores it."""
        self._within = None
        self.done.append(stage)

    def _next(self) -> Decision:
        line = self._decisions.readline()
        if not line:
            raise Released  # rank 0 is done with all stages, or gone
        return Decision(**json.loads(line))


def take_part(beginning: Beginning, decisions: BinaryIO, rank: int, size: int) -> None:
    """Restore, meet the others, and fit until nothing is left to do together."""
    assignment = decode(beginning.assignment.encode())
    assert isinstance(assignment, Assignment)
    spec = JobSpec.from_json(assignment.spec)
    torch.set_num_threads(beginning.threads)
    heap.keep_freed()
    device = device_of(rank, beginning.device)
    images = train_images(
        open_category(Path(beginning.pictures)),
        int(str(spec.config["image_size"])),
        Path(assignment.cache),
        spec.dataset.fingerprint,
        Holdout.parse(spec.holdout),
        labels=registry.describe(spec.detector).supervised,
    )
    with sealed_from(spec.detector, places(assignment, spec, Path(beginning.pictures)), free(assignment)):
        detector = registry.create(spec.detector, spec.config)
        detector.batch_divisor = assignment.batch_divisor
        if beginning.state is not None:
            detector.restore(states.load(Path(beginning.state)))
        context = RankContext(
            detector,
            decisions,
            Together(rank, size, device, Path(beginning.meeting)),
            device=device,
            seed=spec.seed,
            autocast=beginning.autocast,
            done=beginning.done,
            step=beginning.step,
        )
        try:
            run_fit(detector, images, context)
        except Released:
            return


def device_of(rank: int, kind: str) -> torch.device:
    """Return what a rank computes on: on cards, the one of its number, from then on CUDA's usual one."""
    if kind != "cuda":
        return torch.device(kind)
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    return device
