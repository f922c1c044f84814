"""What surrounds a fit keeps count: of stages, of steps, and of numbers that left the reals."""

from __future__ import annotations

import pytest
import torch

from ad_detectors.api import FitContext, Images
from ad_detectors.errors import DataError, NotFinite, StateError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import MemoryImages, WatchedContext, pictures
from gradual_mean import Config, GradualMean

CPU = torch.device("cpu")


class Offering(ContextCore):
    """Finds every stage that is on offer, and notes what it is asked."""

    def __init__(self, *args: object, offer: dict[str, dict[str, torch.Tensor]], **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.offer = offer
        self.asked: list[str] = []
        self.stored: dict[str, object] = {}
        self.seen: list[tuple[int, int, dict[str, float]]] = []

    def find_stage(self, stage: str):  # type: ignore[no-untyped-def]
        self.asked.append(stage)
        return self.offer.get(stage)

    def store_stage(self, stage: str, state: object) -> None:
        self.stored[stage] = state

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        self.seen.append((step, of, metrics))


def context(detector: GradualMean | None = None, **more: object) -> Offering:
    offer = more.pop("offer", {})
    return Offering(detector or GradualMean(Config()), CPU, 0, offer=offer, **more)  # type: ignore[arg-type]


def test_steps_count_from_one_and_grow_by_one() -> None:
    ctx = context()
    ctx.report(1, of=3, **{"train/loss": torch.tensor(2.0)})  # type: ignore[arg-type]
    ctx.report(2, of=3)
    assert ctx.seen == [(1, 3, {"train/loss": 2.0}), (2, 3, {})]
    assert (ctx.step, ctx.last_metrics) == (2, {"train/loss": 2.0})
    for step in (2, 1, 4, 0):
        with pytest.raises(StateError, match=f"step {step} was reported after step 2"):
            ctx.report(step, of=9)
    with pytest.raises(StateError, match="step 3 of 2"):
        ctx.report(3, of=2)


def test_a_resumed_fit_goes_on_with_the_next_step() -> None:
    ctx = context(step=5)
    with pytest.raises(StateError, match="step 1 was reported after step 5"):
        ctx.report(1, of=9)
    ctx.report(6, of=9)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_ends_the_fit_before_it_is_passed_on(value: float) -> None:
    ctx = context()
    with pytest.raises(NotFinite, match="train/loss became"):
        ctx.report(1, of=2, **{"train/loss": value})
    assert ctx.seen == []


def test_a_stage_is_fitted_unless_it_is_done_or_found() -> None:
    found = {"mean": {"mean/pixels": torch.zeros(3, 16, 16)}}
    detector = GradualMean(Config())
    ctx = context(detector, offer=found, done=["earlier"])
    assert ctx.begin("earlier") is False
    assert ctx.begin("mean") is False
    assert "mean/pixels" in detector.state()
    assert ctx.begin("score") is True
    ctx.end("score")
    assert ctx.asked == ["mean", "score"]
    assert ctx.done == ["earlier", "mean", "score"]
    assert list(ctx.stored) == ["score"]


def test_steps_of_a_found_stage_may_be_left_out_once() -> None:
    ctx = context(offer={"mean": {"mean/pixels": torch.zeros(3, 16, 16)}})
    ctx.begin("mean")
    ctx.report(7, of=8)
    with pytest.raises(StateError):
        ctx.report(9, of=9)


def test_a_stage_begun_before_a_resume_is_gone_on_with_even_if_somebody_has_stored_it_since() -> None:
    detector = GradualMean(Config())
    detector.restore({"mean/pixels": torch.zeros(3, 16, 16), "mean/training/step": 2})
    offer = {"mean": {"mean/pixels": torch.ones(3, 16, 16)}, "score": {"score/largest": 1.0}}
    ctx = context(detector, step=2, offer=offer)
    assert ctx.begin("mean") is True, "taking it from the store would leave a gap in the curve"
    ctx.end("mean")
    assert ctx.begin("score") is False


def test_stages_must_begin_and_end_one_by_one() -> None:
    ctx = context()
    with pytest.raises(StateError, match="'mean' ended without having begun"):
        ctx.end("mean")
    ctx.begin("mean")
    with pytest.raises(StateError, match="'score' began before stage 'mean' ended"):
        ctx.begin("score")


def test_only_the_part_of_a_stage_is_stored_under_it() -> None:
    detector = GradualMean(Config())
    ctx = WatchedContext(detector)
    run_fit(detector, MemoryImages(pictures(4, 16)), ctx)
    assert ctx.done == ["mean", "score"]
    offering = context(fitted := GradualMean(Config()))
    run_fit(fitted, MemoryImages(pictures(4, 16)), offering)
    assert [sorted(state) for state in offering.stored.values()] == [["mean/pixels"], ["score/largest"]]  # type: ignore[call-overload]


def test_no_pictures_is_an_error_before_anything_starts() -> None:
    detector = GradualMean(Config())
    with pytest.raises(DataError, match="no normal pictures"):
        run_fit(detector, MemoryImages(torch.zeros(0, 3, 16, 16, dtype=torch.uint8)), context(detector))


def test_a_fit_whose_numbers_left_the_reals_is_refused_by_key() -> None:
    class Explodes(GradualMean):
        def _learn(self, data: Images, ctx: FitContext) -> None:
            super()._learn(data, ctx)
            self.values["mean/pixels"] = torch.full((3, 16, 16), float("nan"))

    detector = Explodes(Config())
    ctx = context(detector)
    with pytest.raises(NotFinite, match=r"mean/pixels.*is not finite"):
        run_fit(detector, MemoryImages(pictures(4, 16)), ctx)
    assert ctx.stored == {}


def test_a_declared_stage_that_was_never_done_is_an_error() -> None:
    class Lazy(GradualMean):
        def fit(self, data: Images, ctx: FitContext) -> None:
            if ctx.begin("mean"):
                self._learn(data, ctx)
                ctx.end("mean")

    detector = Lazy(Config())
    with pytest.raises(StateError, match="without the stages score"):
        run_fit(detector, MemoryImages(pictures(4, 16)), context(detector))
