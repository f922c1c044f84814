"""Detectors that break one promise of the contract each, to see that the contract notices."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ad_detectors.api import Attackable, FitContext, Images, Scores
from ad_detectors.exporting.module import Formula
from ad_detectors.gradients import Exported
from gradual_mean import GradualMean

if TYPE_CHECKING:
    from ad_detectors.api import State


class ForgetsMomentum(GradualMean):
    def state(self) -> State:
        kept = dict(super().state())
        if "mean/training/momentum" in kept:
            kept["mean/training/momentum"] = torch.zeros_like(super().state()["mean/training/momentum"])  # type: ignore[arg-type]
        return kept


class CountsStepsSinceItStarted(GradualMean):
    """Learns differently the longer the process lives: a counter that no state knows."""

    lived = 0

    def _learn(self, data: Images, ctx: FitContext) -> None:
        report = ctx.report

        def counted(step: int, of: int, **metrics: float) -> None:
            self.lived += 1
            self.values["mean/pixels"] = self.values["mean/pixels"] * (1.0 + 1e-5 * self.lived)  # type: ignore[operator]
            report(step, of, **metrics)

        ctx.report = counted  # type: ignore[method-assign]
        super()._learn(data, ctx)
        ctx.report = report  # type: ignore[method-assign]


class RoundsWhenRestored(GradualMean):
    def restore(self, state: State) -> None:
        super().restore({k: v.bfloat16().float() if isinstance(v, Tensor) else v for k, v in state.items()})


class LearnsFromTheGlobalGenerator(GradualMean):
    def _learn(self, data: Images, ctx: FitContext) -> None:
        ctx.seed = int(torch.randint(1000, (1,)))
        super()._learn(data, ctx)


class LearnsFromNumpysGenerator(GradualMean):
    def _learn(self, data: Images, ctx: FitContext) -> None:
        ctx.seed = int(np.random.randint(1000))
        super()._learn(data, ctx)


class LearnsFromItsWorkers(GradualMean):
    def _learn(self, data: Images, ctx: FitContext) -> None:
        ctx.seed += getattr(ctx, "workers", 0)
        super()._learn(data, ctx)


class WritesIntoThePictures(GradualMean):
    def fit(self, data: Images, ctx: FitContext) -> None:
        data.batch([0, 1]).clamp_(max=100)
        super().fit(data, ctx)


class SkipsAStep(GradualMean):
    def _learn(self, data: Images, ctx: FitContext) -> None:
        report = ctx.report
        ctx.report = lambda step, of, **metrics: report(step, of + step, **metrics)  # type: ignore[method-assign]
        super()._learn(data, ctx)
        ctx.report = report  # type: ignore[method-assign]


class MakesHalfTheStepsInHalves(GradualMean):
    divides = True

    def fit(self, data: Images, ctx: FitContext) -> None:
        self.config = replace(self.config, steps=self.config.steps // self.batch_divisor)
        super().fit(data, ctx)


class ScoresOtherwiseInHalves(GradualMean):
    divides = True

    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images * (1 + 1e-6 * (self.batch_divisor - 1)), scores.maps)


class NeedsFourPictures(GradualMean):
    def _learn(self, data: Images, ctx: FitContext) -> None:
        super()._learn(data, ctx)
        self.values["mean/pixels"] = self.values["mean/pixels"] * (1 + 0 / (len(data) - 3))  # type: ignore[operator]


class DividesByTheSpread(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / float(self.values["mean/pixels"].std(0).mean()), scores.maps)  # type: ignore[union-attr]


class WantsSquares(GradualMean):
    def score(self, images: Tensor) -> Scores:
        height, width = images.shape[-2:]
        assert height == width, "not square"
        return super().score(images)


class DividesByTheBatch(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / scores.images.max(), scores.maps)


class SubtractsTheBatch(GradualMean):
    """Batch statistics that show in the maps alone."""

    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        assert scores.maps is not None
        return Scores(scores.images, scores.maps - 1e-4 * scores.maps.mean())


class RoundsTheLastOneOtherwise(GradualMean):
    """As code does that takes a batch's numbers by eights, and the rest one by one."""

    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        assert scores.maps is not None
        if len(images) > 1:
            scores.maps[-1, -1, -1] *= 1.0 + 1e-6
        return scores


class DrawsFromTheGlobalGenerator(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images + torch.rand(len(images)), scores.maps)


class TouchesTheGlobalGenerator(GradualMean):
    def score(self, images: Tensor) -> Scores:
        torch.manual_seed(0)
        return super().score(images)


class TouchesPythonsGenerator(GradualMean):
    def score(self, images: Tensor) -> Scores:
        random.seed(0)
        return super().score(images)


class SetsAFlag(GradualMean):
    def score(self, images: Tensor) -> Scores:
        torch.set_grad_enabled(False)
        return super().score(images)


class WritesIntoWhatItScores(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        images[:, :, 0, 0] = 0
        return scores


class CountsItsScores(GradualMean):
    """Scores drift with every call: a counter that no state knows."""

    calls = 0

    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        self.calls += 1
        return Scores(scores.images + 1e-3 * self.calls, scores.maps)


class LearnsWhileScoring(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        self.values["mean/pixels"] = self.values["mean/pixels"] * 1.001  # type: ignore[operator]
        return scores


class DragsGradients(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images * torch.ones(1, requires_grad=True), scores.maps)


class DiffersElsewhere(GradualMean):
    """Learns and scores by something that only this process knows, and needs memory for every picture."""

    def _learn(self, data: Images, ctx: FitContext) -> None:
        ctx.seed += os.getpid()
        super()._learn(data, ctx)

    def score(self, images: Tensor) -> Scores:
        compared = torch.ones(len(images), 2**19)  # 2 MiB each, all at once
        scores = super().score(images)
        return Scores(scores.images * compared.mean(1) + os.getpid(), scores.maps)


class ForgetsAStoredNumber(GradualMean):
    def restore(self, state: State) -> None:
        super().restore(state)
        if "mean/training/step" not in state:
            self.values.pop("score/largest", None)


class DividesByTheVariety(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / self.variety, scores.maps)

    def _learn(self, data: Images, ctx: FitContext) -> None:
        super()._learn(data, ctx)
        self.variety = data.batch(range(len(data))).float().std(0).mean()


class KeepsItsMomentum(GradualMean):
    def state(self) -> State:
        return {"mean/training/step": 1, **super().state()}


class KeepsObjects(GradualMean):
    def state(self) -> State:
        return {"mean/names": ["a"], **super().state()}  # type: ignore[dict-item]


class TakesAnything(GradualMean):
    def restore(self, state: State) -> None:
        self.values |= state


class UnpicklesItsState(GradualMean):
    def restore(self, state: State) -> None:
        torch.load(Path(__file__).with_suffix(".pt"), weights_only=True)
        super().restore(state)


class ScoresWithoutAFit(GradualMean):
    def score(self, images: Tensor) -> Scores:
        if not self.values:
            return Scores(torch.zeros(len(images)))
        return super().score(images)


class SeesNothing(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores: Any = super().score(images)
        return Scores(torch.zeros_like(scores.images), torch.zeros_like(scores.maps))


class CutsMapsToItsSize(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores: Any = super().score(images)
        return Scores(scores.images, scores.maps[:, :16, :16])


class BlackIsNoNumber(GradualMean):
    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / images.amax((1, 2, 3)).sign(), scores.maps)


class ScoresNothing(GradualMean):
    def score(self, images: Tensor) -> Scores:
        return Scores(torch.zeros(0)) if len(images) == 0 else super().score(images)


class RebuildsSquares(GradualMean):
    def reconstruct(self, images: Tensor) -> Tensor:
        return images[..., : images.shape[-2]]


class RebuildsTheBatchsMean(GradualMean):
    def reconstruct(self, images: Tensor) -> Tensor:
        return images.float().mean(0).to(torch.uint8).expand_as(images)


class RebuildsInTheDark(GradualMean):
    def reconstruct(self, images: Tensor) -> Tensor:
        return images.clamp_(max=100)


class RebuildsWithoutAFit(GradualMean):
    def reconstruct(self, images: Tensor) -> Tensor:
        return images.clone()


class ExportsSomethingElse(GradualMean):
    def _compared(self, scale: float, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        return super()._compared(scale * 1.001, images, mean)


class ExportsWhatDependsOnPixels(GradualMean):
    def _compared(self, scale: float, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        images = images if float(images.max()) > 0 else images + 1.0
        return super()._compared(scale, images, mean)


class ExportsWithoutAFit(GradualMean):
    def export_module(self) -> nn.Module:
        return Formula(lambda images: (images.amax((1, 2, 3)), images[:, 0]))


class IsAttackedSomewhereElse(GradualMean):
    def attackable(self, device: torch.device) -> Attackable:
        return Halfway(super().attackable(device))


class HidesItsGradient(GradualMean):
    def attackable(self, device: torch.device) -> Attackable:
        return Flat(super().attackable(device))


class ScoresNoiseByTheBatch(GradualMean):
    def attackable(self, device: torch.device) -> Attackable:
        return Ranked(super().attackable(device))


class IsAttackedWithoutAFit(GradualMean):
    def attackable(self, device: torch.device) -> Attackable:
        return Flat(Exported(Formula(lambda images: (images.amax((1, 2, 3)), images[:, 0])), device))


class Halfway:
    """Attacks half of the score."""

    def __init__(self, whole: Attackable) -> None:
        self.whole = whole
        self.own_generators, self.smoothing = whole.own_generators, whole.smoothing

    def scores(self, images: Tensor, generators: Sequence[torch.Generator], soft: float = 0.0) -> Tensor:
        return self.whole.scores(images, generators, soft) / 2.0


class Flat(Halfway):
    """Rounds: what has steps has no slope."""

    def scores(self, images: Tensor, generators: Sequence[torch.Generator], soft: float = 0.0) -> Tensor:
        found = self.whole.scores(images, generators, soft)
        return found.detach() + 0.0 * found


class Ranked(Halfway):
    """Subtracts the least of a batch."""

    def __init__(self, whole: Attackable) -> None:
        super().__init__(whole)
        self.smoothing = self._smoothing

    def _smoothing(
        self, sigma: float | None
    ) -> tuple[float, Callable[[Tensor, Sequence[torch.Generator]], Tensor]]:
        deviation, noisy = self.whole.smoothing(sigma)
        return deviation, lambda images, own: noisy(images, own) - noisy(images, own).min()
