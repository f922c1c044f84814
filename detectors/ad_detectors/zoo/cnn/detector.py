"""The classifier as a detector: half of every batch is anomalous, labelled or made up."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import Detector, FitContext, Images, Scores
from ad_detectors.data.anomalous import Anomalies
from ad_detectors.errors import StateError
from ad_detectors.maps import stretched, to_model_size
from ad_detectors.nets.learner import Adam, Learner, below, built
from ad_detectors.pixels import normalised
from ad_detectors.zoo.cnn.config import Config as CNNConfig
from ad_detectors.zoo.cnn.network import Classifier, Judge

if TYPE_CHECKING:
    from ad_detectors.api import State


class CNN(Detector):
    """Three blocks of convolution, ReLU and pooling, two fully connected layers, softmax.

    Differs from the code it follows: defects need not be labelled, classes are balanced within every batch,
    any size will do, and the log-odds come with a map of the places that they are made of.
    """

    Config = CNNConfig
    config: CNNConfig

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")
        self._learner: Learner | None = None
        self._ready = False

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn to tell normal images from anomalous ones."""
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

    def export_module(self) -> nn.Module:
        """Return the network, with what each place adds to its verdict, as a module."""
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
            raise StateError(f"'{unknown[0]}' is no part of a cnn state")
        if network := below(state, "network/"):
            learner = self._fresh(0)
            learner.restore(network, "a cnn")
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
        net = built(
            lambda: Classifier(config.widths, config.hidden, config.grid, config.batch_norm),
            determinism.derive(seed, "cnn"),
        )
        return Learner({"net": net})

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._learner is None or not self._learner.unfinished:
            self._learner = self._fresh(ctx.seed)
        learner = self._learner
        anomalies = Anomalies(data, config.labels, ctx.seed)

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            images = torch.cat([batch, anomalies.beside(batch, step)]).to(ctx.device)
            wanted = torch.arange(len(images), device=ctx.device) // len(batch)
            logits = learner.nets["net"](normalised(images))
            loss = F.cross_entropy(logits, wanted)
            optimiser = learner.optimisers["net"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            right = (logits.argmax(1) == wanted).float().mean()
            return {"train/loss": float(loss.detach()), "train/accuracy": float(right)}

        steps = config.train_steps(len(data))
        adam = Adam(lr=config.lr, weight_decay=config.weight_decay)
        half = config.batch_size // 2
        for losses in learner.train(data, ctx, steps=steps, batch_size=half, adam=adam, update=update):
            ctx.report(learner.step, of=steps, **losses)
        learner.finish()

    def _judge(self) -> Judge:
        if self._learner is None or self._learner.unfinished or not self._ready:
            raise StateError("this cnn has not been fitted; fit it or restore a fitted state first")
        config, net = self.config, cast("Classifier", self._learner.nets["net"])
        return Judge(net, config.image_size, config.blur_sigma, config.image_score == "probability")

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        judge = self._judge()
        pixels = to_model_size(images, self.config.image_size).to(self._device)
        scores, maps = judge.each_alone(pixels)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()
