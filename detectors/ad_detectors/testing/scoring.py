"""Promises on scores: of one picture and the state alone, of any size, higher where a defect is."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import dividing
from ad_detectors.api import Scores
from ad_detectors.determinism import using_threads
from ad_detectors.errors import DetectorError
from ad_detectors.testing import elsewhere
from ad_detectors.testing.differences import Surroundings, assert_refused, assert_same, chosen
from ad_detectors.testing.pictures import extremes, pictures, with_defect
from ad_detectors.testing.subject import Subject, digest, stir

MEMORY_BOUND = 64 * 2**20  # beyond the maps that are asked for; allocators keep some of what they had
PLACES = 8  # of a batch
# Threads that share nothing out evenly, and how much higher and narrower than the model's the pictures are.
UNEVEN = ((3, 0), (5, 3))
NAMES = [*(f"clean {n}" for n in range(7)), *(f"defect {n}" for n in range(7)), "black", "white", "noise"]


class ScorePromises:
    """What holds of scores and maps."""

    def test_a_score_depends_on_the_picture_and_the_state_alone(self, subject: Subject) -> None:
        detector, images = subject.straight.detector, _mixed(subject.config.image_size)
        together = detector.score(images)
        for number, batch in enumerate(_batches()):
            stir(number)
            names = [NAMES[index] for index in batch]
            company = "alone" if len(batch) == 1 else f"in a batch of {len(batch)} ({', '.join(names)})"
            got = detector.score(images[batch])
            assert_same(chosen(together, batch), got, names, f"{company} than in one of {len(NAMES)}")

    def test_a_picture_scores_the_same_wherever_in_a_batch_at_any_size_and_number_of_threads(
        self, subject: Subject
    ) -> None:
        detector, side = subject.straight.detector, subject.config.image_size
        for threads, size in UNEVEN:
            one = pictures(1, (side + size, side - size), seed=13)
            with using_threads(threads):
                alone, all_alike = (detector.score(one.repeat(count, 1, 1, 1)) for count in (1, PLACES))
            names = [f"place {place}" for place in range(PLACES)]
            when = f"than alone on {threads} threads"
            assert_same(chosen(alone, [0] * PLACES), all_alike, names, when)

    def test_in_halves_scores_are_the_same_bits(self, subject: Subject) -> None:
        images = _mixed(subject.config.image_size)[5:10]
        halved = subject.restored(subject.straight.detector.state())
        halved.batch_divisor = 2
        whole = subject.straight.detector.score(images)
        assert_same(whole, dividing.score(halved, images), NAMES[5:10], "with batches in halves")

    def test_scoring_leaves_no_trace(self, subject: Subject) -> None:
        detector, images = subject.straight.detector, _mixed(subject.config.image_size)[5:10]
        given, before = images.clone(), Surroundings.now()
        scores = detector.score(given)
        assert not before.changed(), f"scoring changed, for the whole process: {', '.join(before.changed())}"
        assert torch.equal(given, images), "scoring wrote into the pictures"
        assert digest(detector.state()) == subject.straight.final, "scoring changed the state"
        for tensor in (scores.images, scores.maps):
            assert tensor is None or not tensor.requires_grad, (
                "scores drag gradients along: use torch.no_grad"
            )
        names = NAMES[5:10]
        assert_same(scores, detector.score(given), names, "when scored again")
        fresh = subject.restored(subject.straight.detector.state())
        assert_same(scores, fresh.score(given), names, "from a detector that was restored just now")

    def test_scores_are_the_same_bits_in_another_process(self, subject: Subject) -> None:
        here = elsewhere.scored(subject.straight.detector, subject)
        assert elsewhere.asked(subject).scores == here, (
            "fitted here and scored there, pictures score otherwise"
        )

    def test_memory_does_not_grow_with_the_number_of_pictures(self, subject: Subject) -> None:
        size = subject.config.image_size
        asked_for = 2 * elsewhere.MANY * (size * size * 4 + 3 * size * size)  # maps and pictures, and a copy
        more = elsewhere.asked(subject).more
        assert more <= MEMORY_BOUND + asked_for, (
            f"{elsewhere.MANY} pictures need {more / 2**20:.0f} MiB more than {elsewhere.FEW}; "
            "score in batches of a fixed size"
        )

    def test_maps_have_the_size_of_the_pictures_whatever_it_is(self, subject: Subject) -> None:
        side = subject.config.image_size
        for size in ((side, side), (side + 8, side + 8), (side - 5, 2 * side)):
            scores = subject.straight.detector.score(pictures(2, size, seed=5))
            _well_formed(scores, 2, size)

    def test_black_white_and_noise_have_finite_scores(self, subject: Subject) -> None:
        side = subject.config.image_size
        _well_formed(subject.straight.detector.score(extremes(side)), 3, (side, side))

    def test_an_empty_batch_is_refused(self, subject: Subject) -> None:
        none = pictures(1, subject.config.image_size)[:0]
        detector = subject.straight.detector
        assert_refused(lambda: detector.score(none), "an empty batch", ValueError, DetectorError)

    def test_a_planted_defect_raises_the_score_of_most_pictures(self, subject: Subject) -> None:
        clean = pictures(6, subject.config.image_size, seed=7)
        before, after = (subject.taught.score(each).images for each in (clean, with_defect(clean)))
        raised = int((after > before).sum())
        assert raised >= 5, (
            f"a defect raised the score of {raised} of 6: {before.tolist()} became {after.tolist()}"
        )

    def test_synthetic_defects_raise_more_than_half_of_the_scores(self, subject: Subject) -> None:
        spoiled, before, after = subject.spoiled
        raised = int((after.images > before.images).sum())
        assert raised > len(spoiled.kinds) / 2, (
            f"defects ({', '.join(spoiled.kinds)}) raised the score of {raised} of {len(spoiled.kinds)}: "
            f"{before.images.tolist()} became {after.images.tolist()}"
        )

    def test_most_synthetic_defects_raise_the_map_where_they_are(self, subject: Subject) -> None:
        spoiled, before, after = subject.spoiled
        if before.maps is None or after.maps is None:
            return
        more = after.maps - before.maps
        raised = [float(each[mask].mean()) for each, mask in zip(more, spoiled.masks, strict=True)]
        assert sum(each > 0 for each in raised) >= len(raised) * 3 / 4, (
            f"the map rose within {sum(each > 0 for each in raised)} of {len(raised)} defects "
            f"({', '.join(spoiled.kinds)}): by {raised}"
        )


def _mixed(size: int) -> Tensor:
    clean = pictures(7, size, seed=11)
    return torch.cat([clean, with_defect(clean), extremes(size)])


def _batches() -> list[list[int]]:
    """Return batches of 1, 2, 3, 8 and 9: alone, permuted, repeated, beside black and white."""
    black, white = NAMES.index("black"), NAMES.index("white")
    order = torch.randperm(len(NAMES), generator=torch.Generator().manual_seed(2)).tolist()
    return [order[:9], order[9:], [3, 3, 9], [2, black], [white, 2], [2], [8], [black]]


def _well_formed(scores: Scores, count: int, size: tuple[int, int]) -> None:
    found = (scores.images.dtype, tuple(scores.images.shape))
    assert found == (torch.float32, (count,)), f"{count} pictures have the scores {found}"
    assert bool(torch.isfinite(scores.images).all()), f"scores are {scores.images.tolist()}"
    if scores.maps is not None:
        about = (scores.maps.dtype, tuple(scores.maps.shape))
        assert about == (torch.float32, (count, *size)), f"{count} pictures of {size} have the maps {about}"
        assert bool(torch.isfinite(scores.maps).all()), f"maps of pictures of {size} are not finite"
