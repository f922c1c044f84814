"""DTE as a detector: vectors of a pretrained network, and how much noise would explain them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.backbones import kept as kept_backbones
from ad_detectors.backbones import patches
from ad_detectors.backbones.patches import PatchFeatures
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.maps import stretched, to_model_size
from ad_detectors.microbatching import MicrobatchDetector
from ad_detectors.nets.learner import Adam, Learner, below, built
from ad_detectors.zoo.dte import estimating, vectors
from ad_detectors.zoo.dte.config import Config as DTEConfig
from ad_detectors.zoo.dte.estimating import Estimate, TimeNet
from ad_detectors.zoo.dte.exported import PatchTimes

if TYPE_CHECKING:
    from ad_detectors.api import State

EMBEDDED = "features/fitting/embedded"  # batches reported of an unfinished stage
WEIGHTS = "features/fitting/weights"  # digest of the backbone that it was begun with
ROWS = "estimator/rows"


class DTE(MicrobatchDetector):
    """Diffusion time estimation on features, for each patch (our extension) or, as published, for the image.

    Differs from the published code where that hides or turns round what is anomalous: see `compat`.
    """

    Config = DTEConfig
    config: DTEConfig

    def __init__(self, config: DTEConfig) -> None:
        super().__init__(config)
        self._features: PatchFeatures | None = None
        self._moments: tuple[Tensor, Tensor] | None = None  # mean and deviation, (D,) each
        self._embedded = 0
        self._weights = ""
        self._learner: Learner | None = None
        self._rows: Tensor | None = None  # (N, D) standardised, for the non-parametric estimate
        self._ready = False

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Compute the vectors of all training images, then learn to tell their time."""
        self._device = ctx.device
        found: Tensor | None = None
        if ctx.begin("features"):
            self._features, self._weights = patches.loaded(self.config, self._weights)
            self._features.to(ctx.device)
            found = self._embed(data, ctx)
            self._moments, self._embedded = vectors.moments(found), 0
            ctx.end("features")
        if ctx.begin("estimator"):
            self.to(ctx.device)
            self._estimate(self._embed(data, ctx) if found is None else found, data, ctx)
            ctx.end("estimator")
        if ctx.begin("score"):
            self._ready = True
            ctx.end("score")

    def export_module(self) -> nn.Module:
        """Return backbone, estimate and map as a module; raise NotExportable where there is no map."""
        features, moments, estimate = self._fitted()
        if self.config.level == "image":
            raise NotExportable(
                "with level = image there is no anomaly map to export; fit with level = patch"
            )
        return PatchTimes(features, estimate, *moments, self.config.image_size, self.config.blur_sigma)

    def state(self) -> State:
        """Return the stages that are there; of unfinished features how far they are, but no vectors."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._moments is not None and self._features is not None:
            mean, deviation = (each.detach().to("cpu", copy=True) for each in self._moments)
            kept |= {"features/mean": mean, "features/deviation": deviation}
            kept |= kept_backbones.state_of(self.config.backbone, self._features.extractor, "features/")
        elif self._embedded:
            kept |= {EMBEDDED: self._embedded, WEIGHTS: self._weights}
        if self._learner is not None:
            kept |= {f"estimator/{key}": value for key, value in self._learner.state().items()}
        if self._rows is not None:
            kept[ROWS] = self._rows.detach().to("cpu", copy=True)
        return kept | ({"score/ready": True} if self._ready else {})

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in {"features", "estimator", "score"}]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of a dte state")
        if EMBEDDED in state:
            embedded, weights = state[EMBEDDED], state.get(WEIGHTS)
            if not isinstance(embedded, int) or not isinstance(weights, str):
                raise StateError(f"{EMBEDDED} or {WEIGHTS} of this state is of no use; it is no dte state")
            self._embedded, self._weights = embedded, weights
        elif any(key.startswith("features/") for key in state):
            self._restore_features(state)
        if estimator := below(state, "estimator/"):
            self._restore_estimator(estimator)
        self._ready = self._ready or "score/ready" in state
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the backbone, the net and the vectors to a device."""
        self._device = device
        if self._features is not None:
            self._features.to(device)
        if self._moments is not None:
            mean, deviation = self._moments
            self._moments = mean.to(device), deviation.to(device)
        if self._learner is not None:
            self._learner.to(device)
        if self._rows is not None:
            self._rows = self._rows.to(device)

    def _batches(self, data: Images) -> int:
        return -(-len(data) // determinism.MICROBATCH)

    def _steps(self, data: Images) -> int:
        return self.config.train_steps(len(data) * self.config.of_each_image(len(data)))

    def _embed(self, data: Images, ctx: FitContext) -> Tensor:  # (N, D)
        """Return the vectors to learn from; batches reported before are computed anew, unreported."""
        batches, found = self._batches(data), []
        for batch, first in enumerate(range(0, len(data), determinism.MICROBATCH), start=1):
            indices = range(first, min(first + determinism.MICROBATCH, len(data)))
            images = to_model_size(data.batch(indices), self.config.image_size)
            with torch.no_grad():
                (each,) = determinism.microbatched(self._vectors, images, divisor=self.batch_divisor)
            found.append(vectors.to_learn_from(each, self.config, len(data), ctx.seed, first).flatten(0, 1))
            if self._moments is None and batch > self._embedded:
                self._embedded = batch
                ctx.report(batch, of=batches + self._steps(data))
        return torch.cat(found)

    def _vectors(self, images: Tensor) -> tuple[Tensor]:
        assert self._features is not None
        return (vectors.of_images(self._features, images.to(self._device), self.config.level),)

    def _estimate(self, found: Tensor, data: Images, ctx: FitContext) -> None:
        assert self._moments is not None
        mean, deviation = self._moments
        rows = (found - mean) / deviation
        if self.config.estimator == "nonparametric":
            self._rows = rows
            return
        if self._learner is None or not self._learner.unfinished:
            self._learner = self._fresh(rows.shape[1], ctx.seed)
        learner, config, before = self._learner, self.config, self._batches(data)
        steps = self._steps(data)
        for losses in learner.train(
            vectors.as_images(rows),
            ctx,
            steps=steps,
            batch_size=config.batch_size,
            adam=Adam(lr=config.lr, weight_decay=config.weight_decay),
            update=self._update(learner, ctx),
        ):
            ctx.report(before + learner.step, of=before + steps, **losses)
        learner.finish()

    def _update(self, learner: Learner, ctx: FitContext) -> Any:
        config = self.config
        variance_of = estimating.variances(config.noise_levels, ctx.device)
        noise_device = ctx.device if ctx.device.type == "cuda" else "cpu"

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            generator = determinism.generator(ctx.seed, "noise", step, device=noise_device)
            t = torch.randint(config.noise_levels, (len(batch),), generator=generator, device=noise_device)
            noise = torch.randn(batch.shape, generator=generator, device=noise_device).to(ctx.device)
            t = t.to(ctx.device)
            variance = variance_of[t]
            said = learner.nets["net"](estimating.noised(batch.to(ctx.device), variance, noise))
            levels, size = config.noise_levels, batch.shape[1]
            wanted = estimating.wanted_of(config.estimator, t, levels, config.bins, config.compat)
            loss = estimating.loss_of(config.estimator, said, wanted, variance, size, config.compat)
            optimiser = learner.optimisers["net"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            return {"train/loss": float(loss.detach())}

        return update

    def _fresh(self, size: int, seed: int) -> Learner:
        config = self.config
        out = config.bins if config.estimator == "categorical" else 1
        derived = determinism.derive(seed, "dte")
        return Learner({"net": built(lambda: TimeNet(size, config.hidden, out, config.dropout), derived)})

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, ...]:
        _, (mean, deviation), estimate = self._fitted()
        (found,) = self._vectors(to_model_size(images, self.config.image_size))
        # Image by image, so that no product's rounding depends on an image's place in its batch.
        times = torch.stack([estimate((each - mean) / deviation) for each in found])
        if self.config.level == "image":
            return (times[:, 0].cpu(),)
        grid, side = self.config.grid, self.config.image_size
        scores, full = vectors.finished(times.reshape(-1, grid, grid), side, self.config.blur_sigma)
        return scores.cpu(), stretched(full, *images.shape[-2:]).cpu()

    def _fitted(self) -> tuple[PatchFeatures, tuple[Tensor, Tensor], Estimate]:
        config, learner = self.config, self._learner
        trained = self._rows is not None or (learner is not None and not learner.unfinished)
        if self._features is None or self._moments is None or not trained or not self._ready:
            raise StateError("this dte has not been fitted; fit it or restore a fitted state first")
        net = cast("TimeNet", learner.nets["net"]) if learner is not None else None
        estimate = Estimate(
            config.estimator,
            len(self._moments[0]),
            config.compat,
            net=net,
            rows=self._rows,
            neighbours=config.neighbours,
            levels=config.noise_levels,
        )
        return self._features, self._moments, estimate

    def _restore_features(self, state: State) -> None:
        config = self.config
        extractor = kept_backbones.restored(config.backbone, config.layers, state, "features/")
        self._features = PatchFeatures(extractor, config.grid, config.neighbourhood)
        found = [state.get(f"features/{name}") for name in ("mean", "deviation")]
        mean, deviation = (each.clone() if isinstance(each, Tensor) else torch.zeros(0) for each in found)
        if {tuple(mean.shape), tuple(deviation.shape)} != {(self._features.channels,)}:
            raise StateError(f"this state's mean and deviation do not fit layers {self.config.layers}")
        self._moments = mean, deviation

    def _restore_estimator(self, state: State) -> None:
        rows = state.get("rows")
        if self.config.estimator == "nonparametric":
            if not isinstance(rows, Tensor) or rows.dim() != 2:
                raise StateError(f"this state lacks {ROWS}, which a non-parametric estimate needs")
            self._rows, self._learner = rows.clone(), None
            return
        first = state.get("net/layers.0.weight")
        if not isinstance(first, Tensor):
            raise StateError("this state lacks estimator/net/layers.0.weight, or is of another estimator")
        learner = self._fresh(first.shape[1], 0)
        learner.restore(state, "a dte")
        self._learner, self._rows = learner, None
