"""The detectors' contract, kept by every detector in the registry, and kept up to by the contract itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ad_detectors import registry
from ad_detectors.api import Images, Scores
from ad_detectors.fitting import ContextCore
from ad_detectors.testing import DetectorContract, Subject
from gradual_mean import Config, GradualMean


# Its own detector shows that the contract can be kept, and by stages; a new file in zoo/ comes by itself.
@pytest.fixture(scope="module", params=[*registry.names(), "(gradual mean)"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(GradualMean, Config()) if request.param[0] == "(" else Subject.of(request.param)


class TestEveryDetector(DetectorContract):
    """Every promise, for every detector."""


@pytest.mark.parametrize("name", registry.names())
def test_a_detector_is_described_without_torch(name: str) -> None:
    code = (
        "import sys; from ad_detectors import catalogue;"
        f"entry = catalogue.entry({name!r}); assert entry['summary'], 'no summary';"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


# What follows breaks one promise each; the contract must notice.


class ForgetsMomentum(GradualMean):
    def state(self):  # type: ignore[no-untyped-def]
        kept = dict(super().state())
        if "mean/training/momentum" in kept:
            kept["mean/training/momentum"] = torch.zeros_like(kept["mean/training/momentum"])
        return kept


class DividesByTheBatch(GradualMean):
    def score(self, images: torch.Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / scores.images.max(), scores.maps)


class DrawsFromTheGlobalGenerator(GradualMean):
    def score(self, images: torch.Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images + torch.rand(len(images)), scores.maps)


class LearnsFromTheGlobalGenerator(GradualMean):
    def _learn(self, data: Images, ctx: ContextCore) -> None:  # type: ignore[override]
        ctx.seed = int(torch.randint(1000, (1,)))
        super()._learn(data, ctx)


class KeepsItsMomentum(GradualMean):
    def state(self):  # type: ignore[no-untyped-def]
        return {"mean/training/step": 1, **super().state()}


class TakesAnything(GradualMean):
    def restore(self, state) -> None:  # type: ignore[no-untyped-def]
        self.values |= state


class SeesNothing(GradualMean):
    def score(self, images: torch.Tensor) -> Scores:
        scores = super().score(images)
        return Scores(torch.zeros_like(scores.images), scores.maps)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (ForgetsMomentum, "a_fit_stopped_at_every_report_ends_as_one_never_stopped"),
        (LearnsFromTheGlobalGenerator, "a_fit_stopped_at_every_report_ends_as_one_never_stopped"),
        (DividesByTheBatch, "a_score_depends_on_the_image_and_the_state_alone"),
        (DrawsFromTheGlobalGenerator, "a_score_depends_on_the_image_and_the_state_alone"),
        (KeepsItsMomentum, "its_state_is_plain_named_by_stage_and_free_of_leftovers"),
        (TakesAnything, "a_state_of_something_else_is_refused"),
        (SeesNothing, "a_planted_defect_raises_the_score_of_most_images"),
    ],
)
def test_the_contract_notices_a_broken_promise(kind: type[GradualMean], promise: str, tmp_path: Path) -> None:
    subject = Subject(kind, Config())
    test = getattr(DetectorContract(), f"test_{promise}")
    arguments = [tmp_path] if "tmp_path" in test.__annotations__ else []
    with pytest.raises(AssertionError):
        test(subject, *arguments)
