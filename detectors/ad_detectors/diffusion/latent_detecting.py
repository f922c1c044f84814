"""What detectors share that diffuse in the latents of an autoencoder: four stages, and their state."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import learning
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.microbatching import RebuildingDetector
from ad_detectors.nets import latents
from ad_detectors.nets.learner import Adam, Learner, Update, below
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised

if TYPE_CHECKING:
    from ad_detectors.api import State
    from ad_detectors.diffusion.training import Predict

NET = "net"  # the autoencoder's name within its learner
SAMPLE = 256  # pictures at most from which the deviation of latents is taken


class Settings(Protocol):
    """The settings that all of them have."""

    autoencoder_steps: int
    autoencoder_lr: float
    batch_size: int
    rescale: bool
    steps: int
    lr: float
    weight_decay: float
    ema: float


class LatentDetector(RebuildingDetector):
    """A detector of the stages "autoencoder", "denoiser", a third of its own, and "score"."""

    name: ClassVar[str]  # as it is registered, for messages
    third: ClassVar[str]  # the name of the third stage
    no_export: ClassVar[str]  # why there is no model file for other programs

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self._mixed = False  # whether the fit was in mixed precision: then so is scoring
        self._autoencoder: Learner | None = None
        self._scale: float | None = None  # of latents: what the denoiser sees is divided by it
        self._denoiser: learning.Learner | None = None
        self._seed: int | None = None  # from which the noise of scoring is drawn

    @abstractmethod
    def _new_autoencoder(self, seed: int) -> Learner:
        """Return an untrained autoencoder, named NET."""

    @abstractmethod
    def _shown_to_autoencoder(self, data: Images, ctx: FitContext) -> Images:
        """Return what the autoencoder learns from."""

    @abstractmethod
    def _autoencoder_update(self, learner: Learner, ctx: FitContext) -> Update:
        """Return one step of the autoencoder's training."""

    @abstractmethod
    def _encoded(self, pictures: Tensor) -> Tensor:
        """Return the latents of pictures (B, 3, S, S) in -1..1, not yet scaled: float32 (B, C, h, w)."""

    @abstractmethod
    def _unet_shape(self) -> UNetShape:
        """Return what decides the tensors of the denoiser."""

    @abstractmethod
    def _task(self, data: Images, ctx: FitContext) -> tuple[Images, learning.Task]:
        """Return what the denoiser learns from, and what of it."""

    @abstractmethod
    def _third_steps(self, data: Images) -> int:
        """Return how many reports the third stage makes."""

    @abstractmethod
    def _fit_third(self, data: Images, ctx: FitContext, before: int, of: int) -> None:
        """Fit the third stage, going on where it was stopped; `before` is the last step reported by then."""

    @abstractmethod
    def _third_state(self) -> State:
        """Return the third stage's part of the state, under keys without its name; empty: it has none yet."""

    @abstractmethod
    def _restore_third(self, state: State) -> None:
        """Take over the third stage's part of a state."""

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn the autoencoder, the denoiser of its latents, and what the third stage is for."""
        self._device, self._mixed = ctx.device, ctx.autocast
        settings: Settings = self.config
        before = settings.autoencoder_steps + settings.steps
        of = before + self._third_steps(data)
        if ctx.begin("autoencoder"):
            self._train_autoencoder(data, ctx, of)
            ctx.end("autoencoder")
        self.to(ctx.device)
        if ctx.begin("denoiser"):
            self._train_denoiser(data, ctx, of)
            ctx.end("denoiser")
        self.to(ctx.device)
        if ctx.begin(self.third):
            self._fit_third(data, ctx, before, of)
            ctx.end(self.third)
        if ctx.begin("score"):
            self._seed = determinism.derive(ctx.seed, "score")
            ctx.end("score")

    def export_module(self) -> nn.Module:
        """Raise NotExportable: the noise of a score cannot be drawn in a graph."""
        raise NotExportable(self.no_export)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._autoencoder is not None:
            kept |= {f"autoencoder/{key}": value for key, value in self._autoencoder.state().items()}
        if self._scale is not None:
            kept["autoencoder/scale"] = self._scale
        if self._denoiser is not None:
            kept |= {f"denoiser/{key}": value for key, value in self._denoiser.state().items()}
        kept |= {f"{self.third}/{key}": value for key, value in self._third_state().items()}
        if self._seed is not None:
            kept |= {"score/seed": self._seed, "score/mixed": self._mixed}
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        known = {"autoencoder", "denoiser", self.third, "score"}
        unknown = [key for key in state if key.partition("/")[0] not in known]
        if unknown or not state:
            raise StateError(f"'{unknown[0] if unknown else 'nothing'}' is no part of a state of {self.name}")
        if of_autoencoder := below(state, "autoencoder/"):
            self._restore_autoencoder(of_autoencoder)
        if of_denoiser := below(state, "denoiser/"):
            self._denoiser = learning.restored(self._unet_shape(), of_denoiser, f"{self.name}'s denoiser")
        if of_third := below(state, f"{self.third}/"):
            self._restore_third(of_third)
        if of_score := below(state, "score/"):
            seed = of_score.get("seed")
            if not isinstance(seed, int):
                raise StateError(f"this state lacks score/seed; it is no state of {self.name}")
            self._seed, self._mixed = seed, of_score.get("mixed") is True
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        self._device = device
        if self._autoencoder is not None:
            self._autoencoder.to(device)
        if self._denoiser is not None:
            self._denoiser.net.move(device)

    def _train_autoencoder(self, data: Images, ctx: FitContext, of: int) -> None:
        settings: Settings = self.config
        if self._autoencoder is None or not self._autoencoder.unfinished:
            self._autoencoder, self._scale = self._new_autoencoder(ctx.seed), None
        learner, shown = self._autoencoder, self._shown_to_autoencoder(data, ctx)
        for losses in learner.train(
            shown,
            ctx,
            steps=settings.autoencoder_steps,
            batch_size=settings.batch_size,
            adam=Adam(lr=settings.autoencoder_lr),
            update=self._autoencoder_update(learner, ctx),
        ):
            ctx.report(learner.step, of=of, **losses)
        learner.finish()
        self._scale = self._deviation(data, ctx) if settings.rescale else 1.0

    def _deviation(self, data: Images, ctx: FitContext) -> float:
        """Return the deviation of the latents of a fixed sample of the training pictures."""
        sample = determinism.epoch_order(determinism.derive(ctx.seed, "scale"), 0, len(data))[:SAMPLE]

        def encoded(pictures: Tensor) -> tuple[Tensor]:
            return (self._encoded(normalised(pictures.to(ctx.device))).cpu(),)

        parts: list[Tensor] = []
        for start in range(0, len(sample), determinism.MICROBATCH):
            batch = data.batch(sample[start : start + determinism.MICROBATCH])
            with torch.no_grad():
                parts += determinism.microbatched(encoded, batch, divisor=self.batch_divisor)
        return latents.spread(torch.cat(parts))

    def _train_denoiser(self, data: Images, ctx: FitContext, of: int) -> None:
        settings: Settings = self.config
        if self._denoiser is None or not self._denoiser.unfinished:
            self._denoiser = learning.fresh(self._unet_shape(), ctx.seed)
        recipe = learning.Recipe(
            steps=settings.steps,
            batch_size=settings.batch_size,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            ema=settings.ema or None,
        )

        def report(step: int, loss: float) -> None:
            ctx.report(settings.autoencoder_steps + step, of=of, **{"train/loss": loss})

        shown, task = self._task(data, ctx)
        self._denoiser.train(recipe, task, shown, ctx, report, self.batch_divisor)
        self._denoiser.finish()

    def _restore_autoencoder(self, state: State) -> None:
        learner = self._new_autoencoder(0)
        learner.restore(state, f"{self.name}'s autoencoder")
        self._autoencoder, self._scale = learner, None
        scale = state.get("scale")
        if isinstance(scale, float):
            self._scale = scale
        elif not learner.unfinished:
            raise StateError(f"this state lacks autoencoder/scale; it is no state of {self.name}")

    def _frozen(self) -> tuple[nn.Module, float, Predict]:
        """Return autoencoder, scale and denoiser when both have been learnt; raise StateError before."""
        if (
            self._autoencoder is None
            or self._autoencoder.unfinished
            or self._scale is None
            or self._denoiser is None
            or self._denoiser.unfinished
        ):
            raise self._unfitted()
        predict = learning.predictor(self._denoiser.net, self._device, self._mixed)
        return self._autoencoder.nets[NET], self._scale, predict

    def _unfitted(self) -> StateError:
        return StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
