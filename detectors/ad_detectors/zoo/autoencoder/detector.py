"""The autoencoder as a detector: how far an image is from what comes back of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import Detector, FitContext, Images, Scores
from ad_detectors.errors import StateError
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.nets.learner import Adam, Learner, below, built
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.autoencoder.config import Config as AutoencoderConfig
from ad_detectors.zoo.autoencoder.network import AutoencoderNet, Judge, loss_of

if TYPE_CHECKING:
    from ad_detectors.api import State


class Autoencoder(Detector):
    """A convolutional autoencoder, trained on normal images alone.

    Differs from the code it follows: it is convolutional throughout, so that any size will do and no layer
    has 65 million weights, and it has a score, which that lacks.
    """

    Config = AutoencoderConfig
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")
        self._learner: Learner | None = None
        self._ready = False

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn to bring normal images back."""
        self._device = ctx.device
        if ctx.begin("network"):
            self._train(data, ctx)
            ctx.end("network")
        if ctx.begin("score"):
            self._ready = True
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        with torch.no_grad():
            found = determinism.microbatched(self._score_microbatch, images, divisor=self.batch_divisor)
        return Scores(*found)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what comes back of images, at their size; the distances are of these pictures."""
        with torch.no_grad():
            (rebuilt,) = determinism.microbatched(self._rebuilt, images, divisor=self.batch_divisor)
        return rebuilt

    def export_module(self) -> nn.Module:
        """Return the network and its map as a module."""
        return copy.deepcopy(self._judge()).to("cpu")

    def state(self) -> State:
        """Return the network, and what its training needs while that is unfinished."""
        found = self._learner.state() if self._learner is not None else {}
        kept = {f"network/{key}": value for key, value in found.items()}
        return kept | ({"score/ready": True} if self._ready else {})

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in {"network", "score"}]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of an autoencoder state")
        if network := below(state, "network/"):
            learner = self._fresh(0)
            learner.restore(network, "an autoencoder")
            self._learner = learner
        self._ready = self._ready or "score/ready" in state
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self._device = device
        if self._learner is not None:
            self._learner.to(device)

    def _fresh(self, seed: int) -> Learner:
        config = self.config
        derived = determinism.derive(seed, "autoencoder")
        return Learner({"net": built(lambda: AutoencoderNet(config.widths, config.latent), derived)})

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._learner is None or not self._learner.unfinished:
            self._learner = self._fresh(ctx.seed)
        learner = self._learner

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            del step
            images = normalised(batch.to(ctx.device))
            loss = loss_of(config.loss, images, learner.nets["net"](images))
            optimiser = learner.optimisers["net"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            return {"train/loss": float(loss.detach())}

        steps = config.train_steps(len(data))
        adam = Adam(lr=config.lr, weight_decay=config.weight_decay)
        made = learner.train(data, ctx, steps=steps, batch_size=config.batch_size, adam=adam, update=update)
        for losses in made:
            ctx.report(learner.step, of=steps, **losses)
        learner.finish()

    def _judge(self) -> Judge:
        if self._learner is None or self._learner.unfinished or not self._ready:
            raise StateError("this autoencoder has not been fitted; fit it or restore a fitted state first")
        config, net = self.config, cast("AutoencoderNet", self._learner.nets["net"])
        return Judge(net, config.measure, config.image_score, config.blur_sigma)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        judge = self._judge()
        scores, maps = judge(to_model_size(images, self.config.image_size).to(self._device))
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuilt(self, images: Tensor) -> tuple[Tensor]:
        judge = self._judge()
        pixels = normalised(to_model_size(images, self.config.image_size).to(self._device))
        height, width = images.shape[-2:]
        return (to_size(shown_again(judge.net(pixels)), height, width),)
