"""What a detector is: four methods, a config, and one safe point. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    State = Mapping[str, Tensor | int | float | str | bool]  # no objects: nothing is ever unpickled


# Why a detector that says nothing of exports has none.
NOTHING_TO_EXPORT = "its author offers no module to export (Detector.export_module)"
# And why one that says nothing of attacks cannot be attacked.
NOTHING_TO_ATTACK = "no gradient of its score is offered (Detector.attackable)"


@dataclass(frozen=True)
class Scores:
    """How anomalous images are; higher is more anomalous."""

    images: Tensor  # (B,) float32
    maps: Tensor | None = None  # (B, H, W) float32, at the size of the images that were scored


@dataclass(frozen=True)
class Stage:
    """A part of a fit whose result depends on these fields and those of the stages before it alone.

    `version` grows whenever the same fields would give another result.
    """

    name: str
    fields: tuple[str, ...]
    version: int = 1


class Images(Protocol):
    """A split of a category: pictures decoded and resized once, served as uint8."""

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""

    @property
    def paths(self) -> Sequence[str]:
        """Return the sorted paths, relative to the category's folder."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices: uint8 (B, 3, H, W), RGB."""


@runtime_checkable
class Labelled(Images, Protocol):
    """Normal pictures that know anomalous ones to learn from: those of train/<defect>, never of the test."""

    @property
    def anomalous(self) -> Images | None:
        """Return them, of the same size; None: nobody has labelled any."""


class Ranks(Protocol):
    """One of `size` processes, number `rank`, from 0 on; rank 0 alone writes and reports."""

    @property
    def rank(self) -> int:
        """Return which of them this process is: 0..size - 1."""

    @property
    def size(self) -> int:
        """Return how many they are."""

    def parallel(self, net: nn.Module) -> nn.Module:
        """Return a network whose gradients become, with each `backward`, the mean over all ranks."""

    def apart(self, model: nn.Module) -> AbstractContextManager[None]:
        """Let `backward` add to this rank's own gradients, until one outside of this block joins them."""

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks; every rank has to ask."""


class Attackable(Protocol):
    """What `Detector.score` computes, of images whose values are no whole numbers, with a gradient.

    Images are float32 (B, 3, image_size, image_size) in 0..1, on the device of the detector; each has a CPU
    generator of its own, from which the noise of its score is drawn anew with every call.
    """

    def scores(
        self, images: Tensor, generators: Sequence[torch.Generator], soft: float = 0.0
    ) -> Tensor:  # (B,)
        """Return scores; with `soft` over 0 their gradient is that of more than the highest place of a map.

        Then they are a smooth maximum, `gradients.smooth_maximum`.
        """

    def own_generators(self, images: Tensor) -> list[torch.Generator]:
        """Return the generators with which `scores` gives what `score` does of uint8 images of this size."""

    def smoothing(
        self, sigma: float | None
    ) -> tuple[float, Callable[[Tensor, Sequence[torch.Generator]], Tensor]]:
        """Return a deviation of noise, the nearest possible to the one asked for, and scores under it.

        The function takes images with normal noise of that deviation (their values lie beyond 0..1 too), and
        generators for what else it draws. None asks for the deviation that suits the detector best.
        """


class FitContext(Protocol):
    """What a detector may ask of whoever runs it; `local.LocalContext` serves without a platform."""

    device: torch.device
    seed: int
    autocast: bool  # mixed precision, on CUDA only
    ranks: Ranks  # the processes that fit together; most detectors need not care

    def begin(self, stage: str) -> bool:
        """Say whether this stage is to be fitted now.

        False: it was done before this process started, or its result was found where stages are stored and
        has been handed to `restore`. A detector that declares no stages need not call this.
        """

    def end(self, stage: str) -> None:
        """Say that the stage is done; its part of `state()` (keys that start with "<stage>/") is stored."""

    def report(self, step: int, of: int, **metrics: float) -> None:
        """Report progress at a point where `state()` is whole and `fit` could start again from it.

        `step` counts from 1 over the whole fit and grows by one; `of` is the last. May write a checkpoint,
        and may not return: a cancelled, drained or pruned fit is left by an exception that must pass through.
        A metric that is not finite raises NotFinite. Metric names look like "train/loss".
        """


class Detector(ABC):
    """An algorithm that learns from normal images and scores others.

    A subclass names its frozen, keyword-only dataclass as `Config`, the only place for defaults, and is
    created as `Subclass(config)`. The constructor must be cheap and must not compute.
    """

    Config: ClassVar[type[Any]]
    config: Any
    # Whether `fit` computes its batches in `batch_divisor` parts. One that cannot is tried again as it was.
    divides: ClassVar[bool] = False
    # Set before `fit` and `score` by whoever saw memory not suffice: in how many parts to compute what would
    # be computed at once. It decides nothing but rounding: same steps, same order, same batches.
    batch_divisor: int = 1

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn from normal images, going on from restored state if there is some.

        One that learns from anomalous images too says `SUPERVISED = True` beside its Config and finds them as
        `data.anomalous`, where `data` is `Labelled`.

        Deterministic in (config, data, ctx.seed) on one device at one thread count, however often it was
        interrupted at a report and restored in another process. After it returns, `state` holds what `score`
        needs and nothing else (no optimiser).
        """

    @abstractmethod
    def score(self, images: Tensor) -> Scores:
        """Score uint8 images (B, 3, H, W).

        The score of an image depends on that image and the state alone: not on the batch, its order, the
        time or the process. Noise is drawn on the CPU from (seed in the state, SHA-256 of the pixels).
        """

    def reconstruct(self, images: Tensor) -> Tensor | None:  # uint8 (B, 3, H, W)
        """Return what images (B, 3, H, W), uint8, should look like, at their size; None: it cannot tell.

        For people to see: the very reconstruction that `score` compares an image with. As a score, it
        depends on the image and the state alone and leaves no trace.
        """
        del images
        return None

    def export_module(self) -> nn.Module:
        """Return what `score` computes of images at the model's size, for files that other programs run.

        Its `forward` takes RGB images (B, 3, image_size, image_size) of any number, float32 holding the whole
        numbers 0..255, and returns (scores, maps): (B,) and (B, image_size, image_size), float32. It is a
        copy on the CPU, made of operations that `torch.export` can trace for any B, without randomness and
        without branches that depend on pixels. Scores and maps equal those of `score` but for rounding: a
        relative difference of 1e-4 at most. A detector that offers it says `NO_EXPORT = ""` beside its
        Config; any other raises NotExportable with the reason, which it may give there.

        Raises StateError before a fit.
        """
        from ad_detectors.errors import NotExportable

        raise NotExportable(NOTHING_TO_EXPORT)

    def attackable(self, device: torch.device) -> Attackable:
        """Return the score as a function with a gradient on a device, for attacks on it and bounds of it.

        A detector that exports a module offers that. Another may offer its own, and says `NO_ATTACK = ""`
        beside its Config; any other raises NotAttackable with the reason, which it may give there. Raises
        StateError before a fit.
        """
        from ad_detectors.errors import NotAttackable, NotExportable
        from ad_detectors.gradients import Exported

        try:
            module = self.export_module()
        except NotExportable as error:
            raise NotAttackable(NOTHING_TO_ATTACK) from error
        return Exported(module, device)

    @property
    def batch(self) -> int | None:
        """Return how many images a call of `score` must be given where that changes scores; None: any.

        Only a mode that reproduces a publication whose scores depend on the batch has such a number.
        """
        return None

    @abstractmethod
    def state(self) -> State:
        """Return everything `restore` needs, in the midst of a fit or after it; keys "<stage>/<name>"."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over a state, whole or the part of one stage; raise StateError if it does not fit."""

    def to(self, device: torch.device) -> None:  # noqa: B027
        """Move to a device before scoring; a detector that holds no tensors need not override it."""
