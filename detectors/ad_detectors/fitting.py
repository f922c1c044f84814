"""What happens around a fit, whoever runs it: stages begun and ended, steps counted, numbers kept finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.api import Detector, Images, Ranks
from ad_detectors.data.resizing import at_size
from ad_detectors.errors import DataError, NotFinite, StateError
from ad_detectors.ranks import Alone
from ad_detectors.stages import part

if TYPE_CHECKING:
    from ad_detectors.api import State


class ContextCore:
    """The part of a FitContext that is the same with and without a platform.

    `done` (names of finished stages, in order) and `step` (the newest reported) go into every checkpoint, and
    are given back to the constructor together with a detector whose state was restored from it.
    """

    def __init__(
        self,
        detector: Detector,
        device: torch.device,
        seed: int,
        autocast: bool = False,
        done: Iterable[str] = (),
        step: int = 0,
        ranks: Ranks | None = None,
    ) -> None:
        self.detector, self.device, self.seed, self.autocast = detector, device, seed, autocast
        self.ranks: Ranks = ranks or Alone()
        self.last_metrics: dict[str, float] = {}  # the newest value of each
        self._within: str | None = None  # the stage begun and not ended
        self.restored(step, done)
        self._may_jump = False  # a stage was found, so its steps are not made

    def restored(self, step: int, done: Iterable[str]) -> None:
        """Go on from a checkpoint whose state the detector has just restored."""
        self.step, self.done = step, list(done)
        self._fresh = step > 0  # restored, and nothing reported since

    def begin(self, stage: str) -> bool:
        """Say whether this stage is to be fitted now; see FitContext."""
        if self._within is not None:
            raise StateError(f"stage '{stage}' began before stage '{self._within}' ended")
        if stage in self.done:
            return False
        # Half of it is in the restored checkpoint: going on keeps one point per step, taking it from the
        # store would leave a gap in the curve.
        midway = self._fresh and bool(part(self.detector.state(), stage))
        found = None if midway else self.find_stage(stage)
        if found is not None:
            self.detector.restore(found)
            self.done.append(stage)
            self._may_jump = True
            return False
        self._within = stage
        return True

    def end(self, stage: str) -> None:
        """Say that the stage is done and store its part of the state; see FitContext."""
        if self._within != stage:
            raise StateError(f"stage '{stage}' ended without having begun")
        contribution = part(self.detector.state(), stage)
        refuse_not_finite(contribution)
        self._within = None
        self.done.append(stage)
        self.store_stage(stage, contribution)

    def report(self, step: int, of: int, **metrics: float) -> None:
        """Check and pass on progress; see FitContext."""
        if not (step == self.step + 1 or (self._may_jump and step > self.step)):
            raise StateError(
                f"step {step} was reported after step {self.step}; steps count from 1 and grow by one"
            )
        if not step <= of:
            raise StateError(f"step {step} of {of} was reported; `of` is the last step of the whole fit")
        numbers = {name: float(value) for name, value in metrics.items()}
        for name, number in numbers.items():
            if not math.isfinite(number):
                raise NotFinite(f"{name} became {number} at step {step}; try a lower learning rate")
        self.step = step
        self.last_metrics |= numbers
        self._fresh = self._may_jump = False
        self.on_report(step, of, numbers)

    def find_stage(self, stage: str) -> State | None:
        """Return the stored result of a stage, if there is one; for a subclass that stores stages."""
        del stage
        return None

    def store_stage(self, stage: str, state: State) -> None:
        """Keep the result of a stage for others; for a subclass that stores stages."""

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        """Do what a report calls for (checkpoint, directives); may raise what must end the fit."""


def run_fit(detector: Detector, data: Images, ctx: ContextCore) -> None:
    """Fit a detector, or go on with it, and check what came of it.

    A detector that declares no stages is fitted as one, "fit". Raises DataError for no pictures, NotFinite
    when a fitted number is not finite, StateError when a declared stage was not done. Pictures that are not
    of the config's image_size, or not square, are resized as they are read.
    """
    if len(data) == 0:
        raise DataError("there are no normal pictures to learn from; fill train/good/")
    side = getattr(detector.config, "image_size", None)  # the registry asks every detector for it
    if side is not None:
        data = at_size(data, side)
    declared = [stage.name for stage in registry.stages_of(type(detector))]
    if declared:
        detector.fit(data, ctx)
    elif ctx.begin(registry.WHOLE_FIT):
        detector.fit(data, ctx)
        ctx.end(registry.WHOLE_FIT)
    missing = [stage for stage in declared if stage not in ctx.done]
    if missing:
        raise StateError(
            f"the fit ended without the stages {', '.join(missing)}; call ctx.begin and ctx.end for each"
        )
    refuse_not_finite(detector.state())


def refuse_not_finite(state: State) -> None:
    """Raise NotFinite if a tensor of a state holds an infinity or no number."""
    for key, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise NotFinite(f"state['{key}'] is not finite after the fit; try a lower learning rate")
