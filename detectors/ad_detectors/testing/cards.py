"""Promises on a CUDA card: fits go on there, scores keep, and what is fitted there is of use on a CPU."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from ad_detectors import checkpoint
from ad_detectors.api import Detector, Scores
from ad_detectors.fitting import run_fit
from ad_detectors.testing.differences import chosen
from ad_detectors.testing.pictures import pictures, with_defect
from ad_detectors.testing.subject import Stopped, Subject, WatchedContext, stir

# Of the greatest score: how far it may lie from the same card's, and a card's from a CPU's.
ROUNDING, EXACT, MIXED = 1e-3, 0.02, 0.1


class CardPromises:
    """What holds on a card; a subclass has fixtures `subject` and `card`, the device."""

    def test_a_fit_stopped_half_way_goes_on_there(
        self, subject: Subject, card: torch.device, tmp_path: Path
    ) -> None:
        straight = subject.new()
        context = WatchedContext(straight, device=card)
        run_fit(straight, subject.train(), context)
        steps = list(context.digests)
        assert steps == list(range(1, len(steps) + 1))
        half = max(1, len(steps) // 2)
        first = subject.new()
        context = WatchedContext(first, device=card, stop_at=half)
        with suppress(Stopped):
            run_fit(first, subject.train(), context)
        assert context.step == half, f"it was to stop at report {half}, and came to {context.step}"
        checkpoint.save(first.state(), tmp_path / "half")
        second = subject.restored(tmp_path / "half")
        stir(5)
        context = WatchedContext(second, device=card, done=context.done, step=context.step)
        run_fit(second, subject.train(), context)
        assert list(context.digests) == steps[half:], "it does not report what was left"
        assert set(straight.state()) == set(second.state())
        images = _some(subject)
        # A card sums in no fixed order, so the bits may differ; what was learnt may not.
        _near(straight.score(images), second.score(images), EXACT, "after a stop")

    def test_scores_there_depend_on_the_picture_alone(self, subject: Subject, card: torch.device) -> None:
        detector, images = _moved(subject, card), _some(subject)
        together = detector.score(images)
        assert together.images.device.type == "cpu"
        for number in (0, len(images) - 1):
            # A gradient may be summed in another order each time; nothing else may differ.
            _near(chosen(together, [number]), detector.score(images[[number]]), ROUNDING, "alone on the card")
        _near(together, detector.score(images), ROUNDING, "when scored again on the card")

    def test_what_a_cpu_fitted_scores_there_as_here(self, subject: Subject, card: torch.device) -> None:
        images = _some(subject)
        here = subject.straight.detector.score(images)
        _near(here, _moved(subject, card).score(images), EXACT, "on the card")

    def test_what_is_fitted_there_in_mixed_precision_scores_here(
        self, subject: Subject, card: torch.device, tmp_path: Path
    ) -> None:
        detector = subject.new()
        mixed = card.type == "cuda" and torch.cuda.is_bf16_supported()
        run_fit(detector, subject.train(), WatchedContext(detector, device=card, autocast=mixed))
        checkpoint.save(detector.state(), tmp_path / "fitted")
        images = _some(subject)
        there, here = detector.score(images), subject.restored(tmp_path / "fitted").score(images)
        _near(there, here, MIXED, "on a CPU")

    def test_it_rebuilds_there(self, subject: Subject, card: torch.device) -> None:
        images = _some(subject)
        rebuilt = _moved(subject, card).reconstruct(images)
        if rebuilt is None:
            assert subject.straight.detector.reconstruct(images) is None
            return
        assert (rebuilt.dtype, rebuilt.shape, rebuilt.device.type) == (torch.uint8, images.shape, "cpu")


def _some(subject: Subject) -> Tensor:
    clean = pictures(3, subject.config.image_size, seed=11)
    return torch.cat([clean, with_defect(clean)])


def _moved(subject: Subject, card: torch.device) -> Detector:
    detector = subject.restored(subject.straight.detector.state())
    detector.to(card)
    return detector


def _near(expected: Scores, got: Scores, part: float, where: str) -> None:
    """Raise AssertionError unless scores and maps lie within a part of the greatest."""
    pairs = [("scores", expected.images, got.images)]
    if expected.maps is not None and got.maps is not None:
        pairs.append(("maps", expected.maps, got.maps))
    for what, a, b in pairs:
        far, most = float((a - b).abs().max()), float(a.abs().max())
        assert far <= part * most, f"the {what} lie {far / most:.2g} of the greatest apart {where}"
