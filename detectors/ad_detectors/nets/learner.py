"""Networks in training: a fit stops after any step and goes on in another process to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.loading import Batches
from ad_detectors.device import reading_threads
from ad_detectors.errors import StateError
from ad_detectors.nets import moments

if TYPE_CHECKING:
    from ad_detectors.api import State

TRAINING = "training/"  # keys that are of no use once training has ended
Update = Callable[[Tensor, int], Mapping[str, float]]  # (uint8 batch, step from 0 on) -> losses


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Settings of torch's Adam (Kingma and Ba, arXiv 1412.6980)."""

    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0  # coupled: a term of the gradient


def built(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network whose first weights follow from the seed; the process's generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


class Learner:
    """Networks by name, each with an Adam of its own that makes one step in every step of training."""

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        self.nets = dict(nets)
        self.step = 0  # finished
        self.optimisers: dict[str, torch.optim.Adam] = {}
        self._moments: dict[str, Tensor] = {}  # restored, and not yet given back

    @property
    def unfinished(self) -> bool:
        """Whether training was begun and can be gone on with."""
        return bool(self.optimisers) or bool(self._moments)

    def train(
        self, data: Images, ctx: FitContext, *, steps: int, batch_size: int, adam: Adam, update: Update
    ) -> Iterator[Mapping[str, float]]:
        """Make the remaining of so many steps and give each one's losses when `state` is whole.

        `update` sees batches in the order of `determinism.step_indices` and steps the optimisers itself; all
        it draws must follow from (ctx.seed, step), or from torch's own generator, which is seeded with these.
        """
        self.begin(ctx.device, adam)
        batches = Batches(
            data,
            batch_size=batch_size,
            seed=ctx.seed,
            start=self.step,
            stop=steps,
            workers=reading_threads(ctx.device),
        )
        for step, batch in batches:
            determinism.step_seed(ctx.seed, step)
            losses = update(batch, step)
            self.step += 1
            yield losses

    def begin(self, device: torch.device, adam: Adam) -> None:
        """Move to a device and make ready to learn, from the restored moments on if there are some."""
        self.to(device)
        for name, net in self.nets.items():
            net.train()
            net.requires_grad_(True)
            self.optimisers[name] = torch.optim.Adam(
                net.parameters(),
                lr=adam.lr,
                betas=(adam.beta1, adam.beta2),
                weight_decay=adam.weight_decay,
            )
        if self.step > 0:
            self._give_back()

    def finish(self) -> None:
        """Forget the optimisers: what is left is what scoring needs."""
        self.optimisers, self._moments = {}, {}
        for net in self.nets.values():
            net.requires_grad_(False).eval()

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        for net in self.nets.values():
            net.to(device)

    def state(self) -> State:
        """Return the weights as "<net>/<tensor>", and what training needs to go on while it is unfinished."""
        kept: dict[str, Tensor | int] = {
            f"{name}/{key}": moments.copied(tensor)
            for name, net in self.nets.items()
            for key, tensor in net.state_dict().items()
        }
        if not self.unfinished or self.step == 0:
            return kept
        kept[f"{TRAINING}step"] = self.step
        found = self._remembered() if self.optimisers else self._moments
        return kept | {f"{TRAINING}{key}": moments.copied(tensor) for key, tensor in found.items()}

    def restore(self, state: State, what: str) -> None:
        """Take over a state; raise StateError, which calls it `what`, if it is of other networks."""
        step = state.get(f"{TRAINING}step", 0)
        if not isinstance(step, int) or isinstance(step, bool):
            raise StateError(f"{TRAINING}step of this state is no whole number")
        for name, net in self.nets.items():
            found = {
                key.removeprefix(f"{name}/"): value
                for key, value in state.items()
                if key.startswith(f"{name}/") and isinstance(value, Tensor)
            }
            try:
                net.load_state_dict(found)
            except RuntimeError as error:
                first = " ".join(str(error).split())[:160]
                raise StateError(f"this state is not of {what} with this config: {first}") from error
            net.requires_grad_(False).eval()
        self.step, self.optimisers = step, {}
        self._moments = {
            key.removeprefix(TRAINING): value.clone()
            for key, value in state.items()
            if key.startswith(TRAINING) and isinstance(value, Tensor)
        }

    def _remembered(self) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": tensor
            for name, net in self.nets.items()
            for key, tensor in moments.of(self.optimisers[name], net).items()
        }

    def _give_back(self) -> None:
        for name, net in self.nets.items():
            moments.give_back(self.optimisers[name], net, self.step, self._moments, f"{name}/")
        self._moments = {}


def below(state: State, prefix: str) -> State:
    """Return the part of a state under a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
