"""AnoDDPM: what a denoiser of normal images does not bring back from a little simplex noise is anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import Detector, FitContext, Images, Scores
from ad_detectors.diffusion import learning, samplers
from ad_detectors.diffusion.chains import Sampling, denoise
from ad_detectors.diffusion.strides import strided
from ad_detectors.diffusion.training import Predict
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.maps import blurred, stretched, to_model_size, to_size
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.anoddpm.config import NO_EXPORT
from ad_detectors.zoo.anoddpm.config import Config as AnoDDPMConfig
from ad_detectors.zoo.anoddpm.noising import DenoisingTask, drawn_for, schedule_of

if TYPE_CHECKING:
    from ad_detectors.api import State

TOP_SHARE = 0.01  # of a map, whose mean is the image score "top"


class AnoDDPM(Detector):
    """AnoDDPM with simplex noise.

    Differs from the published code where that cannot do what it says: batches may hold more than one image,
    every image has noise of its own, the number of heads is the trained one, and importance weights point
    the right way.
    """

    Config = AnoDDPMConfig
    divides = True
    config: AnoDDPMConfig

    def __init__(self, config: AnoDDPMConfig) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")
        self._learner: learning.Learner | None = None
        self._seed: int | None = None  # from which the noise of scoring is drawn
        self._mixed = False  # whether the fit was in mixed precision: then so is scoring

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Train the denoiser; the rest is scoring."""
        self._device = ctx.device
        if ctx.begin("denoiser"):
            self._train(data, ctx)
            ctx.end("denoiser")
        if ctx.begin("score"):
            self._seed, self._mixed = determinism.derive(ctx.seed, "score"), ctx.autocast
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        with torch.no_grad():
            found = determinism.microbatched(self._score_microbatch, images, divisor=self.batch_divisor)
        return Scores(*found)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what the denoiser makes of images, the mean of several if `repeats` says so."""
        with torch.no_grad():
            (rebuilt,) = determinism.microbatched(self._shown, images, divisor=self.batch_divisor)
        return rebuilt

    def export_module(self) -> nn.Module:
        """Raise NotExportable: the noise of a score cannot be drawn in a graph."""
        raise NotExportable(NO_EXPORT)

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
        unknown = [key for key in state if not key.startswith(("denoiser/", "score/"))]
        if unknown or not state:
            raise StateError(f"'{unknown[0] if unknown else 'nothing'}' is no part of an anoddpm state")
        own = {k.removeprefix("denoiser/"): v for k, v in state.items() if k.startswith("denoiser/")}
        if own:
            self._learner = learning.restored(shape_of(self.config), own, "anoddpm's denoiser")
        if any(key.startswith("score/") for key in state):
            seed = state.get("score/seed")
            if not isinstance(seed, int):
                raise StateError("this state lacks score/seed; it is no anoddpm state")
            self._seed, self._mixed = seed, state.get("score/mixed") is True
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self._device = device
        if self._learner is not None:
            self._learner.net.move(device)

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._learner is None or not self._learner.unfinished:
            self._learner = learning.fresh(shape_of(config), ctx.seed)
        recipe = learning.Recipe(
            steps=config.steps,
            batch_size=config.batch_size,
            lr=config.lr,
            weight_decay=config.weight_decay,
            clip=config.clip,
            ema=config.ema or None,
        )

        def report(step: int, loss: float) -> None:
            ctx.report(step, of=config.steps, **{"train/loss": loss})

        task = DenoisingTask(config, ctx.seed)
        self._learner.train(recipe, task, data, ctx, report, self.batch_divisor)
        self._learner.finish()

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        error, _ = self._compared(to_model_size(images, config.image_size))
        maps = blurred(error, config.blur_sigma)
        scores = maps.amax(dim=(1, 2))
        if config.image_score == "top":
            count = max(1, round(TOP_SHARE * maps[0].numel()))
            scores = torch.stack([each.flatten().topk(count).values.mean() for each in maps])
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _shown(self, images: Tensor) -> tuple[Tensor]:
        _, rebuilt = self._compared(to_model_size(images, self.config.image_size))
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _compared(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared error (B, S, S) and the reconstruction (B, 3, S, S), means over repeats."""
        if self._learner is None or self._learner.unfinished or self._seed is None:
            raise StateError("this anoddpm has not been fitted; fit it or restore a fitted state first")
        generators = [determinism.image_generator(self._seed, image) for image in images]
        predict = learning.predictor(self._learner.net, self._device, self._mixed)
        shown = normalised(images.to(self._device))
        errors, pictures = torch.zeros_like(shown[:, 0]), torch.zeros_like(shown)
        for _ in range(self.config.repeats):
            rebuilt = self._rebuilt(predict, shown, generators)
            errors += (shown - rebuilt).square().mean(1)
            pictures += rebuilt
        return errors / self.config.repeats, pictures / self.config.repeats

    def _rebuilt(self, predict: Predict, shown: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Noise images to `noise_step` and bring them back (the published forward_backward)."""
        config, count = self.config, len(shown)
        back = config.noise if config.reverse_noise == "same" else "gauss"

        def drawn(t: int, kind: str) -> Tensor:
            return drawn_for(generators, shown.shape[1:], t, config, kind).to(self._device)

        schedule = schedule_of(config)
        first = config.noise_step - 1
        start = schedule.of(torch.full((count,), first))
        x = samplers.noised(shown, drawn(first, config.noise), start)
        steps = [strided(first, config.skip)] * count
        return denoise(predict, x, steps, Sampling(schedule=schedule), lambda t: drawn(int(t[0]), back))


def shape_of(config: AnoDDPMConfig) -> UNetShape:
    """Return what decides the tensors of this config's U-Net."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        attention_divisors=config.attention,
        heads=config.heads,
        dropout=config.dropout,
    )
