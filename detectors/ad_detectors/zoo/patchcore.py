"""PatchCore: anomalies as the distance to the nearest of a few patch features that cover all normal ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Detector, FitContext, Images, Scores, Stage
from ad_detectors.config import Paper
from ad_detectors.errors import StateError
from ad_detectors.rules import check, wide_blur

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ad_detectors.api import State
    from ad_detectors.backbones.patches import PatchFeatures
    from ad_detectors.neighbours.coreset import Cover
    from ad_detectors.neighbours.nearest import Bank

PICKING_REPORTS = 50  # at most so many while picking
FITTING = "bank/fitting/"  # keys of an unfinished bank


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of PatchCore; the defaults suit two CPU cores and did best on three real categories."""

    image_size: fields.ImageSize = 256
    backbone: fields.Backbone = "tf_efficientnet_lite0"
    layers: Annotated[
        tuple[Literal[2, 4, 8, 16, 32] | str, ...],
        Field(
            min_length=1, max_length=8, description="maps of a patch, by stride or by timm's name of a layer"
        ),
    ] = (4, 8, 16)
    grid_stride: Annotated[
        Literal[4, 8, 16, 32],
        Field(description="pixels from one patch to the next; all maps are brought to it"),
    ] = 8
    neighbourhood: fields.Neighbourhood = 3
    balance: Annotated[
        float,
        Field(ge=0.0, le=1.0, description="1 scales each stride's map to vary equally, 0 leaves it as it is"),
    ] = 0.5
    coreset_share: Annotated[
        float, Field(gt=0.0, le=1.0, description="part of the training patches that is kept in the bank")
    ] = 0.1
    bank_limit: Annotated[
        int, Field(ge=1, le=10_000_000, description="most patches in the bank, whatever their share")
    ] = 8192
    projection: Annotated[
        int,
        Field(
            ge=0, le=4096, description="dimensions of a random projection in which to pick; 0 picks exactly"
        ),
    ] = 0
    image_score: Annotated[
        Literal["map", "patch"],
        Field(description="the maximum of the blurred map, or the farthest patch as published"),
    ] = "map"
    neighbours: Annotated[
        int,
        Field(ge=1, le=1000, description="b of the farthest patch's weight (eq. 7); 1 gives it none"),
    ] = 9
    blur_sigma: fields.BlurSigma = 4.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)

    @property
    def grid(self) -> int:
        """Return how many patches there are across an image."""
        return self.image_size // self.grid_stride

    def bank_size(self, patches: int) -> int:
        """Return how many of the training patches the bank is to hold."""
        return max(1, min(int(self.coreset_share * patches), self.bank_limit))


PatchCoreConfig: TypeAlias = Config  # within the detector `Config` is its own attribute

RULES = (wide_blur(),)

STAGES: tuple[Stage, ...] = (
    Stage(
        "bank",
        (
            "image_size",
            "backbone",
            "layers",
            "grid_stride",
            "neighbourhood",
            "balance",
            "coreset_share",
            "bank_limit",
            "projection",
        ),
        version=2,
    ),
    Stage("score", ("image_score", "neighbours", "blur_sigma")),
)

PRESETS: dict[str, dict[str, Any]] = {
    # A second on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "layers": [4, 8],
        "grid_stride": 4,
        "bank_limit": 16,
        "blur_sigma": 0.5,
    },
    # As published for MVTec AD, but for the crop of 224 out of 256 pixels; needs weights and, better, a GPU.
    "paper": {
        "image_size": 224,
        "backbone": "wide_resnet50_2.tv_in1k",
        "layers": ["layer2", "layer3"],
        "balance": 0.0,
        "coreset_share": 0.1,
        "bank_limit": 10_000_000,
        "image_score": "patch",
        "neighbours": 9,
    },
}

SPACE: dict[str, dict[str, Any]] = {
    "bank_limit": {"low": 1024, "high": 16384, "log": True},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

FAMILY = "patch memory"
COST = "one pass over the images through a pretrained network, then picking the bank; no training"
PAPER = Paper(
    title="Towards Total Recall in Industrial Anomaly Detection",
    authors="Karsten Roth, Latha Pemula, Joaquin Zepeda, Bernhard Schoelkopf, Thomas Brox, Peter Gehler",
    year=2022,
    url="https://arxiv.org/abs/2106.08265",
)
NO_EXPORT = ""


class PatchCore(Detector):
    """A bank of normal patch features, picked to cover all of them; far from the bank is anomalous.

    Differs from the publication where that costs accuracy or time for nothing: features are concatenated
    as they are instead of being pooled to 1024 numbers, and patches are picked exactly instead of in a random
    projection. Everything is computed in float32: bfloat16 would round away small distances.
    """

    Config = Config
    divides = True  # the picking apart: it holds all patches, whatever the batch
    config: PatchCoreConfig

    def __init__(self, config: PatchCoreConfig) -> None:
        import torch

        super().__init__(config)
        self._device = torch.device("cpu")
        self._features: PatchFeatures | None = None
        self._bank: Bank | None = None
        self._scales: Tensor | None = None  # (channels,) that patches are multiplied with
        self._cover: Cover | None = None  # the picks so far
        self._embedded = 0  # batches of training images reported
        self._picked = 0  # reports of picks after those
        self._weights = ""  # digest of the backbone that an unfinished bank was begun with
        self._ready = False

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Compute the patches of all training images and pick those to keep."""
        self.to(ctx.device)
        if ctx.begin("bank"):
            from ad_detectors.backbones import patches

            self._features, self._weights = patches.loaded(self.config, self._weights)
            self._features.to(ctx.device)
            self._fit_bank(data, ctx)
            ctx.end("bank")
        if ctx.begin("score"):
            self._ready = True
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        import torch

        from ad_detectors import determinism

        with torch.no_grad():
            found = determinism.microbatched(self._score_microbatch, images, divisor=self.batch_divisor)
        return Scores(*found)

    def export_module(self) -> nn.Module:
        """Return backbone, bank and map as a module; it searches the bank for all images at once."""
        from ad_detectors.neighbours.exported import PatchDistances

        features, scales, bank = self._fitted()
        config = self.config
        count = config.neighbours if config.image_score == "patch" else 0
        return PatchDistances(features, scales, bank.rows, config.image_size, config.blur_sigma, count)

    def state(self) -> State:
        """Return the bank and the backbone; of an unfinished bank what was picked, but no features."""
        from ad_detectors.backbones import kept as kept_backbones

        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._bank is not None and self._features is not None and self._scales is not None:
            kept["bank/scales"] = self._scales.detach().to("cpu", copy=True)
            kept["bank/patches"] = self._bank.rows.detach().to("cpu", copy=True)
            kept |= kept_backbones.state_of(self.config.backbone, self._features.extractor, "bank/")
        elif self._embedded:
            kept |= {f"{FITTING}embedded": self._embedded, f"{FITTING}weights": self._weights}
            if self._cover is not None:
                kept[f"{FITTING}picked"] = self._picked
                kept[f"{FITTING}picks"] = self._cover.picks.to("cpu", copy=True)
                kept[f"{FITTING}distances"] = self._cover.distances.to("cpu", copy=True)
        if self._ready:
            kept["score/ready"] = True
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in {"bank", "score"}]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of a patchcore state")
        if any(key.startswith(FITTING) for key in state):
            self._restore_fitting(state)
        elif any(key.startswith("bank/") for key in state):
            self._restore_bank(state)
        if "score/ready" in state:
            self._ready = True
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the backbone and the bank to a device."""
        from ad_detectors.neighbours.nearest import Bank

        self._device = device
        if self._features is not None:
            self._features.to(device)
        if self._bank is not None:
            self._bank = Bank(self._bank.rows.to(device))
        if self._scales is not None:
            self._scales = self._scales.to(device)

    def _fit_bank(self, data: Images, ctx: FitContext) -> None:
        """Embed all images, then pick patches; both go on from where a stopped fit reported last."""
        from ad_detectors import determinism
        from ad_detectors.neighbours.nearest import Bank

        batches = -(-len(data) // determinism.MICROBATCH)
        size = self.config.bank_size(len(data) * self.config.grid**2)
        each = -(-size // PICKING_REPORTS)  # picks from one report to the next
        last = batches + -(-(size - 1) // each)
        patches = self._embed(data, ctx, last)
        assert self._features is not None
        scales = self._features.scales(patches, self.config.balance)
        patches *= scales
        cover = self._pick(self._projected(patches, ctx.seed), size, each, ctx, last)
        self._bank = Bank(patches[cover.picks.to(patches.device)].to(ctx.device))
        self._scales = scales.to(ctx.device)
        self._cover, self._embedded, self._picked = None, 0, 0

    def _embed(self, data: Images, ctx: FitContext, last: int) -> Tensor:  # (N * grid^2, channels)
        """Return the patches of all images; batches reported before are computed anew, unreported."""
        import torch

        from ad_detectors import determinism, maps

        assert self._features is not None
        size, grid, parts = self.config.image_size, self.config.grid, self.batch_divisor
        # Metal lacks some of what picking needs.
        device = ctx.device if ctx.device.type == "cuda" else torch.device("cpu")
        patches = torch.empty(len(data), grid * grid, self._features.channels, device=device)
        for batch, first in enumerate(range(0, len(data), determinism.MICROBATCH), start=1):
            indices = range(first, min(first + determinism.MICROBATCH, len(data)))
            images = maps.to_model_size(data.batch(indices), size)
            with torch.no_grad():
                (found,) = determinism.microbatched(self._embedded_microbatch, images, divisor=parts)
            patches[first : first + len(indices)] = found.flatten(1, 2)
            if batch > self._embedded:
                self._embedded = batch
                ctx.report(batch, last)
        return patches.flatten(0, 1)

    def _projected(self, patches: Tensor, seed: int) -> Tensor:
        from ad_detectors import determinism
        from ad_detectors.neighbours import coreset

        if self.config.projection == 0:
            return patches
        return coreset.projected(patches, self.config.projection, determinism.generator(seed, "projection"))

    def _pick(self, rows: Tensor, size: int, each: int, ctx: FitContext, last: int) -> Cover:
        from ad_detectors import determinism
        from ad_detectors.neighbours import coreset

        if self._cover is None:
            self._cover = coreset.start(rows, determinism.derive(ctx.seed, "first patch") % len(rows))
        for step in range(self._picked + 1, last - self._embedded + 1):
            self._cover = coreset.grow(rows, self._cover, min(size, 1 + step * each))
            self._picked = step
            radius = float(self._cover.distances.max())
            ctx.report(self._embedded + step, last, **{"train/radius": radius})
        return self._cover

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        from ad_detectors import maps

        _, scales, bank = self._fitted()
        size = self.config.image_size
        (patches,) = self._embedded_microbatch(maps.to_model_size(images, size))
        patches *= scales
        # Image by image, so that no product's rounding depends on an image's place in its batch.
        found = [bank.nearest(each.flatten(0, 1)) for each in patches]
        distances = torch.stack([near.distances for near in found]).reshape(patches.shape[:3])
        full = maps.blurred(maps.stretched(distances, size, size), self.config.blur_sigma)
        scores = full.amax(dim=(1, 2))
        if self.config.image_score == "patch":
            pairs = zip(patches, found, strict=True)
            count = self.config.neighbours
            scores = torch.stack([bank.farthest(each.flatten(0, 1), near, count) for each, near in pairs])
        return scores.cpu(), maps.stretched(full, *images.shape[-2:]).cpu()

    def _fitted(self) -> tuple[PatchFeatures, Tensor, Bank]:
        if self._features is None or self._scales is None or self._bank is None or not self._ready:
            raise StateError("this patchcore has not been fitted; fit it or restore a fitted state first")
        return self._features, self._scales, self._bank

    def _embedded_microbatch(self, images: Tensor) -> tuple[Tensor]:
        assert self._features is not None
        return (self._features(images.to(self._device)),)

    def _restore_bank(self, state: State) -> None:
        from torch import Tensor

        from ad_detectors.backbones import kept as kept_backbones
        from ad_detectors.backbones.patches import PatchFeatures
        from ad_detectors.neighbours.nearest import Bank

        config = self.config
        extractor = kept_backbones.restored(config.backbone, config.layers, state, "bank/")
        self._features = PatchFeatures(extractor, config.grid, config.neighbourhood)
        patches, scales = state.get("bank/patches"), state.get("bank/scales")
        if not isinstance(patches, Tensor) or patches.shape[1:] != (self._features.channels,):
            raise StateError(f"this state's bank/patches do not fit layers {self.config.layers}")
        if not isinstance(scales, Tensor) or scales.shape != (self._features.channels,):
            raise StateError(f"this state's bank/scales do not fit layers {self.config.layers}")
        self._bank, self._scales = Bank(patches.clone()), scales.clone()

    def _restore_fitting(self, state: State) -> None:
        from torch import Tensor

        from ad_detectors.neighbours.coreset import Cover

        embedded, weights = state.get(f"{FITTING}embedded"), state.get(f"{FITTING}weights")
        if not isinstance(embedded, int) or not isinstance(weights, str):
            raise StateError(f"this state lacks {FITTING}embedded or weights; it is no patchcore state")
        self._embedded, self._weights = embedded, weights
        picks, distances = state.get(f"{FITTING}picks"), state.get(f"{FITTING}distances")
        picked = state.get(f"{FITTING}picked", 0)
        if isinstance(picks, Tensor) and isinstance(distances, Tensor) and isinstance(picked, int):
            self._cover, self._picked = Cover(picks.clone(), distances.clone()), picked
