"""What detectors have in common that are one denoiser: its training, its state, and where it computes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import learning
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.microbatching import RebuildingDetector
from ad_detectors.nets.unet import UNetShape

if TYPE_CHECKING:
    from ad_detectors.api import State
    from ad_detectors.diffusion.training import PredictGiven


class DenoisingDetector(RebuildingDetector):
    """A detector of two stages: "denoiser", which is learnt or loaded, and "score", which draws noise.

    One with more names them in `parts`, and adds to `_fit_before` or `_fit_between`, `state` and `restore`.
    """

    divides = True
    name: ClassVar[str]  # as it is registered, for messages
    parts: ClassVar[tuple[str, ...]] = ("denoiser", "score")  # its stages, in order
    no_export: ClassVar[str]  # why there is no model file for other programs

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self._learner: learning.Learner | None = None
        self._seed: int | None = None  # from which the noise of scoring is drawn
        self._mixed = False  # whether the fit was in mixed precision: then so is scoring

    @abstractmethod
    def _shape(self) -> UNetShape:
        """Return what decides the tensors of this config's U-Net."""

    @abstractmethod
    def _prepare(self, data: Images, ctx: FitContext) -> None:
        """Train or load the denoiser, going on from `_learner` if that is unfinished."""

    def _fit_before(self, data: Images, ctx: FitContext) -> None:
        """Fit what stages there are before "denoiser"."""

    def _fit_scoring(self, data: Images, ctx: FitContext) -> None:
        """Fit what scoring needs besides its seed, going on from restored state if there is some."""

    def _fit_between(self, data: Images, ctx: FitContext) -> None:
        """Fit what stages there are between "denoiser" and "score"."""

    def _train(
        self, recipe: learning.Recipe, task: learning.Task, data: Images, ctx: FitContext, further: int = 0
    ) -> None:
        """Train a fresh network of this shape, or go on with one; every step is reported.

        `further` is how many steps the fit will report after these.
        """
        if self._learner is None or not self._learner.unfinished:
            self._learner = learning.fresh(self._shape(), ctx.seed)

        def report(step: int, loss: float) -> None:
            ctx.report(step, of=recipe.steps + further, **{"train/loss": loss})

        self._learner.train(recipe, task, data, ctx, report, self.batch_divisor)
        self._learner.finish()

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn the denoiser, or load it; the rest is scoring."""
        self._device = ctx.device
        self._fit_before(data, ctx)
        if ctx.begin("denoiser"):
            self._prepare(data, ctx)
            ctx.end("denoiser")
        self._fit_between(data, ctx)
        if ctx.begin("score"):
            self._seed, self._mixed = determinism.derive(ctx.seed, "score"), ctx.autocast
            self._fit_scoring(data, ctx)
            ctx.end("score")

    def export_module(self) -> nn.Module:
        """Raise NotExportable: the noise of a score cannot be drawn in a graph."""
        raise NotExportable(self.no_export)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._learner is not None:
            kept |= {f"denoiser/{key}": value for key, value in self._learner.state().items()}
        if self._seed is not None:
            kept |= {"score/seed": self._seed, "score/mixed": self._mixed}
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in self.parts]
        if unknown or not state:
            raise StateError(f"'{unknown[0] if unknown else 'nothing'}' is no part of a state of {self.name}")
        own = {k.removeprefix("denoiser/"): v for k, v in state.items() if k.startswith("denoiser/")}
        if own:
            self._learner = learning.restored(self._shape(), own, f"{self.name}'s denoiser")
        if any(key.startswith("score/") for key in state):
            seed = state.get("score/seed")
            if not isinstance(seed, int):
                raise StateError(f"this state lacks score/seed; it is no state of {self.name}")
            self._seed, self._mixed = seed, state.get("score/mixed") is True
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self._device = device
        if self._learner is not None:
            self._learner.net.move(device)

    def _fitted(self) -> tuple[PredictGiven, int]:
        """Return the denoiser as a function, and the seed of scoring; raise StateError before a fit."""
        predict = self._predictor()
        if self._seed is None:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
        return predict, self._seed

    def _predictor(self) -> PredictGiven:
        """Return the denoiser as a function; raise StateError before it was learnt."""
        if self._learner is None or self._learner.unfinished:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
        return learning.predictor(self._learner.net, self._device, self._mixed)
