"""What detectors have in common that are one network: two stages, their state, and where it computes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch

from ad_detectors.api import FitContext, Images
from ad_detectors.errors import StateError
from ad_detectors.microbatching import MicrobatchDetector
from ad_detectors.nets.learner import Learner, below

if TYPE_CHECKING:
    from ad_detectors.api import State

STAGES = ("network", "score")


class NetworkDetector(MicrobatchDetector):
    """A detector of two stages: "network", which is learnt, and "score", for which nothing is."""

    name: ClassVar[str]  # as it is registered, for messages

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self._learner: Learner | None = None
        self._ready = False

    @abstractmethod
    def _fresh(self, seed: int) -> Learner:
        """Return an untrained network."""

    @abstractmethod
    def _train(self, learner: Learner, data: Images, ctx: FitContext) -> None:
        """Train the network, going on from where it stands; every step is reported."""

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn the network; it scores as it is."""
        self._device = ctx.device
        if ctx.begin("network"):
            if self._learner is None or not self._learner.unfinished:
                self._learner = self._fresh(ctx.seed)
            self._train(self._learner, data, ctx)
            self._learner.finish()
            ctx.end("network")
        if ctx.begin("score"):
            self._ready = True
            ctx.end("score")

    def state(self) -> State:
        """Return the network, and what its training needs while that is unfinished."""
        found = self._learner.state() if self._learner is not None else {}
        kept = {f"network/{key}": value for key, value in found.items()}
        return kept | ({"score/ready": True} if self._ready else {})

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in STAGES]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of a state of {self.name}")
        if network := below(state, "network/"):
            learner = self._fresh(0)
            learner.restore(network, f"{self.name}'s network")
            self._learner = learner
        self._ready = self._ready or "score/ready" in state
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self._device = device
        if self._learner is not None:
            self._learner.to(device)

    def _fitted(self) -> Learner:
        """Return the learnt network; raise StateError before a fit."""
        if self._learner is None or self._learner.unfinished or not self._ready:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
        return self._learner
