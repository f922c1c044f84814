"""AdvRAD: what one robust restoration of an image changes more, or less, than it changes normal images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import learning
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.errors import StateError
from ad_detectors.maps import image_scores, stretched, to_model_size, to_size
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.advrad import restoring
from ad_detectors.zoo.advrad.attacked import AttackedScore
from ad_detectors.zoo.advrad.config import NO_EXPORT
from ad_detectors.zoo.advrad.config import Config as AdvRADConfig

if TYPE_CHECKING:
    from ad_detectors.api import State

READ_AT_ONCE = 16  # images from one report to the next; no result depends on it
SUM, SEEN, MEAN = "normal/training/sum", "normal/training/seen", "normal/mean"


class AdvRAD(DenoisingDetector):
    """One-shot robust reconstruction after Cao et al.

    No code of the authors is public; what is not known of it is chosen here, and told on its page.
    """

    Config = AdvRADConfig
    name = "advrad"
    no_export = NO_EXPORT
    config: AdvRADConfig

    def __init__(self, config: AdvRADConfig) -> None:
        super().__init__(config)
        self._mean: Tensor | None = None  # (S, S) float32, of the errors of normal images
        self._sum: Tensor | None = None  # (S, S) float64, while they are added up
        self._seen = 0  # images in the sum

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn the denoiser, then the mean error of normal images."""
        self._device = ctx.device
        self._mixed = ctx.autocast
        if ctx.begin("denoiser"):
            self._prepare(data, ctx)
            ctx.end("denoiser")
        if ctx.begin("normal"):
            self._add_up(data, ctx)
            ctx.end("normal")
        if ctx.begin("score"):
            self._seed = _seed_of(ctx)
            ctx.end("score")

    def attackable(self, device: torch.device) -> AttackedScore:
        """Return the score with its gradient; the network's own weights get none any more."""
        predict, seed = self._fitted()
        if self._mean is None or self._learner is None:
            raise StateError("this advrad has not been fitted; fit it or restore a fitted state first")
        self.to(device)
        self._learner.net.requires_grad_(False)
        return AttackedScore(predict, self._mean, seed, self.config, device)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {**super().state()}
        if self._mean is not None:
            kept[MEAN] = self._mean.clone().cpu()
        elif self._sum is not None:
            kept |= {SUM: self._sum.clone(), SEEN: self._seen}
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        own = {key: value for key, value in state.items() if key.startswith("normal/")}
        rest = {key: value for key, value in state.items() if key not in own}
        if own:
            self._take(own)
        if rest or not own:
            super().restore(rest)
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move what scoring needs to a device."""
        super().to(device)
        if self._mean is not None:
            self._mean = self._mean.to(device)

    def _shape(self) -> UNetShape:
        config = self.config
        return UNetShape(
            image_size=config.image_size,
            base_channels=config.base_channels,
            multipliers=config.multipliers,
            residual_blocks=config.residual_blocks,
            attention_divisors=config.attention,
            heads=config.heads,
            scale_shift=True,
            cosine_first=True,
        )

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        recipe = learning.Recipe(
            steps=config.steps,
            batch_size=config.batch_size,
            lr=config.lr,
            ema=config.ema or None,
            anneal=True,
        )
        self._train(recipe, restoring.NamingNoise(config, ctx.seed), data, ctx, further=_batches(data))

    def _add_up(self, data: Images, ctx: FitContext) -> None:
        """Take the mean of the errors of all images, batch by batch."""
        if self._mean is not None:  # restored after the last report of this stage
            return
        side, seed = self.config.image_size, _seed_of(ctx)
        if self._sum is None:
            self._sum, self._seen = torch.zeros(side, side, dtype=torch.float64), 0
        total = self._sum
        self.to(ctx.device)
        of = self.config.steps + _batches(data)

        def measured(images: Tensor) -> tuple[Tensor, ...]:
            return (self._errors(images, seed)[0].cpu(),)

        while self._seen < len(data):
            end = min(self._seen + READ_AT_ONCE, len(data))
            with torch.no_grad():
                images = data.batch(range(self._seen, end))
                (errors,) = determinism.microbatched(measured, images, divisor=self.batch_divisor)
            for each in errors.double():  # one by one: so the order of the sum is always the same
                total += each
            self._seen = end
            if self._seen == len(data):
                self._mean, self._sum = (total / self._seen).float().to(ctx.device), None
            ctx.report(self.config.steps + -(-end // READ_AT_ONCE), of=of)

    def _take(self, own: State) -> None:
        side = self.config.image_size
        found, seen = own.get(MEAN, own.get(SUM)), own.get(SEEN, 0)
        known = set(own) in ({MEAN}, {SUM, SEEN})
        if not (known and isinstance(found, Tensor) and isinstance(seen, int)):
            raise StateError(f"'{next(iter(own))}' is no part of a state of advrad")
        if tuple(found.shape) != (side, side):
            raise StateError(f"the mean error of this state is not {side} x {side}; fit it anew")
        if MEAN in own:
            self._mean, self._sum = found.float().to(self._device), None
        else:
            self._mean, self._sum, self._seen = None, found.clone(), seen

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        _, seed = self._fitted()
        error, _ = self._errors(to_model_size(images, self.config.image_size), seed)
        maps = self._unusual(error)
        return image_scores(maps, self.config.image_score).cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return the mean of an image's restorations."""
        _, seed = self._fitted()
        _, rebuilt = self._errors(to_model_size(images, self.config.image_size), seed)
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _errors(self, images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return the errors (B, S, S) of uint8 images and their restorations, with noise of their own."""
        generators = [determinism.image_generator(seed, image) for image in images]
        shown, noise = (
            normalised(images.to(self._device)),
            restoring.noise_of(generators, self.config, self._device),
        )
        return restoring.errors(self._predictor(), shown, noise, self.config)

    def _unusual(self, error: Tensor) -> Tensor:
        """Return how far errors (B, S, S) are from their mean over normal images."""
        if self._mean is None:
            raise StateError("this advrad has not been fitted; fit it or restore a fitted state first")
        return (error - self._mean).abs()


def _batches(data: Images) -> int:
    return -(-len(data) // READ_AT_ONCE)


def _seed_of(ctx: FitContext) -> int:
    """Return the seed of scoring, from which the noise of the mean error is drawn too."""
    return determinism.derive(ctx.seed, "score")
