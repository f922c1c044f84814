"""Promises on reconstructions: of one picture and the state alone, at its size; or never any."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors.errors import StateError
from ad_detectors.testing.differences import Surroundings, assert_refused
from ad_detectors.testing.pictures import extremes, pictures, with_defect
from ad_detectors.testing.subject import Subject, digest, stir


class RebuildPromises:
    """What holds of `reconstruct`; a detector that answers None once must always do so."""

    def test_reconstructions_are_pictures_of_the_size_of_those_given(self, subject: Subject) -> None:
        side = subject.config.image_size
        rebuilds = _rebuilt(subject, pictures(1, side)) is not None
        for size in ((side, side), (side - 5, 2 * side)):
            rebuilt = _rebuilt(subject, pictures(2, size, seed=5))
            found = None if rebuilt is None else (rebuilt.dtype, tuple(rebuilt.shape), rebuilt.device.type)
            expected = (torch.uint8, (2, 3, *size), "cpu") if rebuilds else None
            assert found == expected, f"two pictures of {size} are rebuilt as {found}, not {expected}"

    def test_a_reconstruction_depends_on_the_picture_and_the_state_alone(self, subject: Subject) -> None:
        images = _mixed(subject.config.image_size)
        together = _rebuilt(subject, images)
        for number, batch in enumerate([[0], [4], [3, 1], [2, 2, 0]]):
            stir(number)
            alone = _rebuilt(subject, images[batch])
            same = alone is together is None or torch.equal(_shown(alone), _shown(together)[batch])
            assert same, f"pictures {batch} are rebuilt otherwise than in a batch of {len(images)}"

    def test_rebuilding_leaves_no_trace(self, subject: Subject) -> None:
        detector, images = subject.straight.detector, _mixed(subject.config.image_size)
        given, before = images.clone(), Surroundings.now()
        scored = detector.score(given).images
        detector.reconstruct(given)
        assert not before.changed(), f"rebuilding changed, for the whole process: {before.changed()}"
        assert torch.equal(given, images), "rebuilding wrote into the pictures"
        assert digest(detector.state()) == subject.straight.final, "rebuilding changed the state"
        again = detector.score(given).images
        assert torch.equal(scored, again), "rebuilding changed what pictures score afterwards"

    def test_nothing_is_rebuilt_before_a_fit(self, subject: Subject) -> None:
        images = pictures(1, subject.config.image_size)
        if _rebuilt(subject, images) is not None:
            assert_refused(lambda: subject.new().reconstruct(images), "rebuilding without a fit", StateError)


def _rebuilt(subject: Subject, images: Tensor) -> Tensor | None:
    return subject.straight.detector.reconstruct(images)


def _shown(rebuilt: Tensor | None) -> Tensor:
    assert rebuilt is not None, "pictures are rebuilt in one batch and not in another"
    return rebuilt


def _mixed(size: int) -> Tensor:
    clean = pictures(2, size, seed=11)
    return torch.cat([clean, with_defect(clean), extremes(size)[:1]])
