"""Adapting DDAD's feature extractor to the category and to what the denoiser makes of it (section 4.3)."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.backbones import features
from ad_detectors.backbones import kept as kept_backbones
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.data.loading import Batches
from ad_detectors.device import reading_threads
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, reconstruct
from ad_detectors.diffusion.training import Predict
from ad_detectors.errors import StateError
from ad_detectors.nets import moments as remembering
from ad_detectors.pixels import normalised
from ad_detectors.zoo.ddad.config import NO_BACKBONE, Config

if TYPE_CHECKING:
    from ad_detectors.api import State


class Adaptation:
    """The feature extractor, and what its adaptation must remember as long as it goes on.

    Without a backbone there is no extractor, and nothing to adapt.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None,
        frozen: FeatureExtractor | None = None,
        *,
        step: int = 0,
        reported: int = 0,
        moments: State | None = None,
        origin: str = "",
    ) -> None:
        self.extractor = extractor
        self.step = step  # finished optimiser steps
        self.reported = reported  # reports of the whole fit, as of this step
        self.optimiser: torch.optim.AdamW | None = None
        self._frozen = frozen
        self._moments = moments or {}
        self._origin = origin  # a hash of the unadapted weights, from which the loss is measured

    def train(
        self,
        config: Config,
        predict: Predict,
        data: Images,
        ctx: FitContext,
        report: Callable[[float], None],
        divisor: int = 1,
    ) -> None:
        """Do the remaining steps, reporting each one's loss when `state` is whole.

        For want of memory images are rebuilt in `divisor` parts of a batch; batch norm needs the rest whole.
        """
        steps = config.adaptation_steps(len(data))
        if self.extractor is None or self.step >= steps:
            return
        self._start(config, ctx)
        seed = determinism.derive(ctx.seed, "adaptation")
        batches = Batches(
            data,
            batch_size=config.adapt_batch_size,
            seed=seed,
            start=self.step,
            stop=steps,
            workers=reading_threads(ctx.device),
        )
        for step, batch in batches:
            determinism.step_seed(seed, step)
            noise_device = ctx.device if ctx.device.type == "cuda" else "cpu"
            generator = determinism.generator(seed, "noise", step, device=noise_device)
            loss = self._update(
                config, in_parts(predict, divisor), normalised(batch.to(ctx.device)), generator
            )
            self.step += 1
            self.reported += 1
            report(loss)

    def _start(self, config: Config, ctx: FitContext) -> None:
        assert self.extractor is not None
        if self._frozen is None:
            self._frozen = _pretrained(config)
        origin = fingerprint(self._frozen)
        if self._origin not in {"", origin}:
            raise StateError(
                f"this adaptation began from other weights of '{config.backbone}' than lie here; "
                f"give this machine the same file"
            )
        self._origin = origin
        self.extractor.to(ctx.device).thaw()
        self._frozen.to(ctx.device)
        self.optimiser = torch.optim.AdamW(
            self.extractor.parameters(),
            lr=config.adapt_lr,
            weight_decay=config.adapt_weight_decay,
            fused=ctx.device.type in {"cpu", "cuda"},
        )
        if self.step > 0:
            remembering.give_back(self.optimiser, self.extractor, self.step, self._moments)
        self._moments = {}

    def _update(self, config: Config, predict: Predict, images: Tensor, generator: torch.Generator) -> float:
        assert self.extractor is not None
        assert self.optimiser is not None
        assert self._frozen is not None
        target, source = pair(images, config.adapt_same)

        def noise() -> Tensor:
            return torch.randn(source.shape, generator=generator, device=generator.device).to(source.device)

        with torch.no_grad():
            trajectory = adaptation_trajectory(config)
            rebuilt = reconstruct(predict, source, target, schedule.linear(), trajectory, noise)
        loss = adaptation_loss(
            self.extractor, self._frozen, rebuilt, target, config.adapt_strides, config.adapt_lambda
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    @property
    def unfinished(self) -> bool:
        """Whether adaptation was begun and can be gone on with."""
        return self.step > 0

    def finish(self, config: Config) -> None:
        """Forget the optimiser, the unadapted copy and layers too deep for the map: scoring needs none."""
        self.optimiser, self._frozen, self._moments, self._origin = None, None, {}, ""
        self.step = 0
        if self.extractor is None:
            return
        learned = self.extractor.state_dict()
        slim = features.empty(config.backbone, config.feature_strides)
        slim.load_state_dict({name: learned[name] for name in slim.state_dict()})
        self.extractor = slim.to(self.extractor.mean.device)

    def state(self) -> State:
        """Return the weights and statistics, and what adaptation needs to go on while it is unfinished."""
        kept: dict[str, Tensor | int | str] = {}
        if self.extractor is None:
            return kept
        kept |= kept_backbones.weights_of(self.extractor)
        if self.step == 0:
            return kept
        if self.optimiser is not None:
            found = remembering.of(self.optimiser, self.extractor)
        else:  # restored, and not yet gone on with
            found = {
                name: remembering.copied(t) for name, t in self._moments.items() if isinstance(t, Tensor)
            }
        kept |= {"training/step": self.step, "training/reported": self.reported}
        kept["training/origin"] = self._origin
        return kept | {f"training/{name}": tensor for name, tensor in found.items()}


def in_parts(predict: Predict, divisor: int) -> Predict:
    """Return a network that computes a batch in so many parts, one after the other."""

    def divided(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([predict(*part) for part in zip(x.chunk(divisor), t.chunk(divisor), strict=True)])

    return predict if divisor == 1 else divided


def pair(images: Tensor, same: bool) -> tuple[Tensor, Tensor]:
    """Return targets and sources: as published the halves of a batch, so different images.

    With `same` each image of the batch is both.
    """
    if same:
        return images, images
    half = len(images) // 2
    return images[:half], images[half:]


def adaptation_trajectory(config: Config) -> Trajectory:
    """Return how the images to adapt to are rebuilt: on a trajectory of their own, or as published."""
    own = (config.adapt_noise_step, config.adapt_skip, config.adapt_eta)
    noise_step, skip, eta = (config.noise_step, config.skip, config.eta) if config.compat else own
    return Trajectory(w=config.adapt_w, noise_step=noise_step, skip=skip, eta=eta)


def adaptation_loss(
    adapted: FeatureExtractor,
    frozen: FeatureExtractor,
    rebuilt: Tensor,
    target: Tensor,
    strides: Sequence[int],
    weight: float,
) -> Tensor:
    """Return how far features of the rebuilt are from the target's, and the adapted from the frozen (eq. 12).

    For images in -1..1. The rebuilt go first: the order decides the running statistics of batch norm.
    """
    shown = [(images + 1.0) / 2.0 for images in (rebuilt, target)]
    of_rebuilt, of_target = (adapted(images, strides) for images in shown)
    with torch.no_grad():
        frozen_rebuilt, frozen_target = (frozen(images, strides) for images in shown)
    near = _apart(of_rebuilt, of_target)
    kept = _apart(of_target, frozen_target) + _apart(of_rebuilt, frozen_rebuilt)
    return near + weight * kept


def _apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Return 1 - cosine of whole feature maps, averaged over images and summed over layers."""
    terms = [
        (1.0 - F.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)).mean()
        for a, b in zip(some, others, strict=True)
    ]
    return torch.stack(terms).sum()


def fresh(config: Config) -> Adaptation:
    """Return the pretrained features, not adapted yet; raise WeightsNotFound."""
    if config.backbone == NO_BACKBONE:
        return Adaptation(None)
    extractor = _pretrained(config)
    return Adaptation(extractor, copy.deepcopy(extractor) if config.adapts else None)


def restored(config: Config, state: State) -> Adaptation:
    """Return the features of a state whose keys have lost their "features/"; raise StateError."""
    kept_backbones.require(config.backbone, state)
    if config.backbone == NO_BACKBONE:
        return Adaptation(None)
    adapting = "training/step" in state
    strides = _strides(config) if adapting else config.feature_strides
    extractor = kept_backbones.restored(config.backbone, strides, state)
    training = {k.removeprefix("training/"): v for k, v in state.items() if k.startswith("training/")}
    try:
        step, reported = int(training.pop("step", 0)), int(training.pop("reported", 0))
    except (TypeError, ValueError) as error:
        raise StateError("features/training/step is no whole number") from error
    origin = str(training.pop("origin", ""))
    return Adaptation(extractor, step=step, reported=reported, moments=training, origin=origin)


def fingerprint(extractor: FeatureExtractor) -> str:
    """Return a hash of an extractor's tensors."""
    whole = hashlib.sha256()
    for name, tensor in sorted(extractor.state_dict().items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def _pretrained(config: Config) -> FeatureExtractor:
    return features.load(config.backbone, _strides(config), places=places_from_environment())


def _strides(config: Config) -> tuple[int, ...]:
    """Return every stride wanted: for the map, and for the adaptation if there is one."""
    wanted = {*config.feature_strides, *(config.adapt_strides if config.adapts else ())}
    return tuple(sorted(wanted))
