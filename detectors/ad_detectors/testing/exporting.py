"""Promises on exports: the same scores but for rounding, and traceable; or a reason why not."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import torch
from torch import Tensor, nn

from ad_detectors import registry
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.testing.differences import assert_refused
from ad_detectors.testing.pictures import extremes, pictures, with_defect
from ad_detectors.testing.subject import Subject, digest

TOLERANCE = 1e-4  # relative to the highest score, or the highest value of the maps


class ExportPromises:
    """What holds of `export_module` and of `NO_EXPORT`; each costs nothing where there is no export."""

    def test_what_it_exports_scores_as_it_does(self, subject: Subject) -> None:
        images = _mixed(subject.config.image_size)
        if (module := _exported(subject)) is None:
            return
        expected = subject.straight.detector.score(images)
        with torch.no_grad():
            scores, maps = module(images.float())
        _near("scores", expected.images, scores)
        assert expected.maps is not None, "an export gives maps, and score gives none"
        _near("maps", expected.maps, maps)
        state = digest(subject.straight.detector.state())
        assert state == subject.straight.final, "to export it changed the state"

    def test_what_it_exports_can_be_traced_for_any_number_of_pictures(self, subject: Subject) -> None:
        if (module := _exported(subject)) is None:
            return
        images = _mixed(subject.config.image_size).float()
        try:
            with torch.no_grad():
                traced = torch.export.export(
                    module, (images[:2],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False
                )
                found, expected = traced.module()(images)[0], module(images)[0]
        except Exception as error:  # tracing has no common error
            raise AssertionError(
                f"torch.export cannot trace what it exports: {str(error).splitlines()[0]}"
            ) from error
        _near("scores, traced with two pictures and asked for five,", expected, found)

    def test_nothing_is_exported_before_a_fit(self, subject: Subject) -> None:
        kinds = (NotExportable,) if registry.no_export_of(subject.kind) else (StateError,)
        assert_refused(lambda: subject.new().export_module(), "exporting without a fit", *kinds)


def _exported(subject: Subject) -> nn.Module | None:
    """Return the module; None where the detector says why it has none, and refuses for that reason."""
    detector, reason = subject.straight.detector, registry.no_export_of(subject.kind)
    if not reason:
        return detector.export_module().eval()
    try:
        detector.export_module()
    except NotExportable as error:
        if reason in str(error):
            return None
        raise AssertionError(f"it says '{reason}' beside its Config, and '{error}' when asked") from error
    raise AssertionError(f"it exports a module, though it says that it cannot: {reason}")


def _near(what: str, expected: Tensor, got: Tensor) -> None:
    assert (got.dtype, got.shape) == (torch.float32, expected.shape), (
        f"the exported module gives {what} of {got.dtype} {tuple(got.shape)}, not {tuple(expected.shape)}"
    )
    far = float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    assert far <= TOLERANCE, f"the {what} of the exported module differ by {far:.2g} of the highest"


def _mixed(size: int) -> Tensor:
    clean = pictures(2, size, seed=11)
    return torch.cat([clean, with_defect(clean), extremes(size)[2:]])
