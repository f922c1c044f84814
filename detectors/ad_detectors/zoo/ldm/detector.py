"""Latent diffusion as a detector: what surprises in latents, and what becomes of it when drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.subset import Subset
from ad_detectors.device import mixed_precision
from ad_detectors.diffusion import learning, samplers
from ad_detectors.diffusion.chains import Sampling, gaussian, inpaint
from ad_detectors.diffusion.latent_detecting import NET, LatentDetector
from ad_detectors.diffusion.latents import Numbers, Remembered
from ad_detectors.diffusion.schedule import STEPS
from ad_detectors.diffusion.strides import respaced
from ad_detectors.diffusion.training import Predict
from ad_detectors.errors import StateError
from ad_detectors.maps import blurred, stretched, to_model_size, to_size, top_mean
from ad_detectors.nets.learner import Learner, Update, built
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.ldm import codebook, surprise
from ad_detectors.zoo.ldm.codebook import VQAutoencoder
from ad_detectors.zoo.ldm.config import NO_EXPORT
from ad_detectors.zoo.ldm.config import Config as LDMConfig
from ad_detectors.zoo.ldm.surprise import PROCESS, Expected

if TYPE_CHECKING:
    from ad_detectors.api import State

FEW = 8  # held images; with fewer, and so fewer places, those that were learnt from tell what is normal
BATCHES = "fitting/batches"  # of an unfinished calibration


class LDM(LatentDetector):
    """Latent diffusion with a map of divergences and in-painting in latents, after Pinaya et al.

    There is no official code; what the paper leaves open is said on the page of the detector.
    """

    Config = LDMConfig
    config: LDMConfig
    name = "ldm"
    third = "calibration"
    no_export = NO_EXPORT

    def __init__(self, config: LDMConfig) -> None:
        super().__init__(config)
        self._expected: Expected | None = None
        self._batches = 0  # reported of an unfinished calibration

    def _new_autoencoder(self, seed: int) -> Learner:
        config, shape = self.config, codebook.shape_of(self.config)
        derived = determinism.derive(seed, "autoencoder")
        return Learner({NET: built(lambda: VQAutoencoder(shape, config.codes, config.decay), derived)})

    def _shown_to_autoencoder(self, data: Images, ctx: FitContext) -> Images:
        return self._shared(data, ctx.seed)[0]

    def _autoencoder_update(self, learner: Learner, ctx: FitContext) -> Update:
        config = self.config

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            del step
            images = normalised(batch.to(ctx.device))
            with mixed_precision(ctx.device, ctx.autocast):
                rebuilt, z, words, chosen = learner.nets[NET](images)
            loss = codebook.loss_of(config.commitment, images, rebuilt, z, words)
            optimiser = learner.optimisers[NET]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            used = codebook.perplexity(chosen, config.codes)
            return {"train/autoencoder_loss": float(loss.detach()), "train/perplexity": used}

        return update

    def _encoded(self, pictures: Tensor) -> Tensor:
        assert self._autoencoder is not None
        return codebook.encode(self._autoencoder.nets[NET], pictures, self._mixed)

    def _unet_shape(self) -> UNetShape:
        config = self.config
        return UNetShape(
            image_size=codebook.shape_of(config).side,
            base_channels=config.unet_channels,
            multipliers=config.unet_multipliers,
            residual_blocks=config.unet_blocks,
            attention_divisors=config.unet_attention,
            head_channels=config.head_channels,
            in_channels=config.latent_channels,
        )

    def _task(self, data: Images, ctx: FitContext) -> tuple[Images, learning.Task]:
        if self._autoencoder is None or self._scale is None:
            raise StateError("ldm's denoiser learns from its autoencoder, which this state lacks")
        scale, (shown, _) = self._scale, self._shared(data, ctx.seed)

        def latents(numbers: Tensor) -> tuple[Tensor]:
            pictures = shown.batch(numbers.tolist())
            return (self._encoded(normalised(pictures.to(ctx.device))) / scale,)

        shape = codebook.shape_of(self.config)
        latent = shape.channels, shape.side, shape.side
        return Numbers(shown), LatentTask(Remembered(latents, self.batch_divisor), latent, ctx.seed)

    def _third_steps(self, data: Images) -> int:
        held = self._shared(data, 0)[1]  # of equally many for every seed
        return -(-min(len(held), self.config.calibration_images) // determinism.MICROBATCH)

    def _fit_third(self, data: Images, ctx: FitContext, before: int, of: int) -> None:
        """See held images in microbatches, reporting after each; those reported before are seen anew."""
        config = self.config
        _, scale, predict = self._frozen()
        held = self._shared(data, ctx.seed)[1]
        count = min(len(held), config.calibration_images)

        def seen(numbers: Tensor) -> tuple[Tensor]:
            """Return (B, T, h, w), rows being images."""
            generators = [determinism.generator(ctx.seed, "calibration", each) for each in numbers.tolist()]
            pictures = normalised(held.batch(numbers.tolist()).to(ctx.device))
            z = self._encoded(pictures) / scale
            noise = gaussian(generators, z.shape[1:], z.device)
            return (surprise.divergences(predict, z, self._band, noise).transpose(0, 1).cpu(),)

        parts: list[Tensor] = []
        for batch, start in enumerate(range(0, count, determinism.MICROBATCH), start=1):
            numbers = torch.arange(start, min(start + determinism.MICROBATCH, count))
            with torch.no_grad():
                parts += determinism.microbatched(seen, numbers, divisor=self.batch_divisor)
            if batch > self._batches:
                self._batches = batch
                ctx.report(before + batch, of=of)
        found = torch.cat(parts).transpose(0, 1)
        self._expected = surprise.expected(found, config.calibrated, config.quantile)
        self._batches = 0

    def _third_state(self) -> State:
        if self._expected is not None:
            return {"means": self._expected.means.clone(), "threshold": self._expected.threshold}
        return {BATCHES: self._batches} if self._batches else {}

    def _restore_third(self, state: State) -> None:
        if BATCHES in state:
            batches = state[BATCHES]
            if not isinstance(batches, int):
                raise StateError(f"calibration/{BATCHES} of this state is no whole number")
            self._batches, self._expected = batches, None
            return
        means, threshold = state.get("means"), state.get("threshold")
        if not isinstance(means, Tensor) or not isinstance(threshold, float):
            raise StateError("this state lacks calibration/means or threshold; it is no state of ldm")
        if len(means) != len(self._band):
            raise StateError(
                f"this state is calibrated at {len(means)} steps, the config's are {len(self._band)}"
            )
        self._expected, self._batches = Expected(means.clone(), threshold), 0

    def _shared(self, data: Images, seed: int) -> tuple[Images, Images]:
        """Return what is learnt from, and what tells the normal surprise; the same where there is little."""
        held = int(self.config.held * len(data))
        if held < FEW:
            return data, data
        order = determinism.epoch_order(determinism.derive(seed, "held"), 0, len(data))
        return Subset(data, sorted(order[held:])), Subset(data, sorted(order[:held]))

    @property
    def _band(self) -> Sequence[int]:
        return range(self.config.first_step, self.config.last_step + 1, self.config.stride)

    def _judged(self, images: Tensor) -> Judged:
        config, expected = self.config, self._expected
        if expected is None or self._seed is None:
            raise self._unfitted()
        _, scale, predict = self._frozen()
        small = to_model_size(images, config.image_size)
        pictures = normalised(small.to(self._device))
        z = self._encoded(pictures) / scale
        generators = [determinism.image_generator(self._seed, image) for image in small]
        noise = gaussian(generators, z.shape[1:], z.device)
        found = surprise.surprise(surprise.divergences(predict, z, self._band, noise), expected.means)
        mask = surprise.masked(found, expected.threshold, config.dilate)

        def anew() -> Tensor:
            if not bool(mask.any()):
                return z
            steps = respaced(config.inpaint_step, config.inpaint_calls)
            sampling = Sampling(schedule=PROCESS, clip=False)
            return inpaint(predict, z, mask[:, None], steps, sampling, noise)

        return Judged(pictures, z, found, mask, anew)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        config, judged = self.config, self._judged(images)
        scores = top_mean(judged.surprise, config.top)
        blur = partial(blurred, sigma=config.blur_sigma)
        shown = partial(surprise.enlarged, side=config.image_size, blur=blur)
        if config.map == "surprise":
            maps = shown(judged.surprise)
        else:
            before = self._decoded(judged.z) if config.compare == "decoded" else judged.pictures
            apart = (before - self._decoded(judged.anew())).abs().mean(dim=1)
            maps = apart * shown(judged.mask.float() if config.map == "residual" else judged.surprise)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return images with what surprises drawn anew, at their size."""
        rebuilt = self._decoded(self._judged(images).anew())
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _decoded(self, z: Tensor) -> Tensor:
        net, scale, _ = self._frozen()
        return codebook.decode(net, z * scale, self._mixed)


@dataclass(frozen=True)
class Judged:
    """What is known of a microbatch."""

    pictures: Tensor  # (B, 3, S, S) in -1..1
    z: Tensor  # (B, C, h, w) scaled
    surprise: Tensor  # (B, h, w)
    mask: Tensor  # (B, h, w) bool
    anew: Callable[[], Tensor]  # latents with what surprises drawn anew; to be called once


class LatentTask:
    """Name the noise in latents, which are remembered."""

    def __init__(self, pictures: Remembered, latent: tuple[int, int, int], seed: int) -> None:
        self._pictures, self._latent, self._seed = pictures, latent, seed

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return a step (B,) and noise (B, C, h, w) for numbers (B,) of pictures."""
        generator = determinism.generator(self._seed, "noise", step)
        t = torch.randint(STEPS, (len(images),), generator=generator)
        return t, torch.randn(len(images), *self._latent, generator=generator)

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean squared difference of each picture (B,)."""
        t, noise = drawn
        (z,) = self._pictures.of(images.tolist(), images.device)
        found = predict(samplers.noised(z, noise, PROCESS.of(t)), t).float()
        return (found - noise).square().mean(dim=(1, 2, 3))
