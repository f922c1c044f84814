"""The contract every detector keeps, as one class of tests: point `subject` at a detector."""

from __future__ import annotations

from ad_detectors.testing.attacking import AttackPromises
from ad_detectors.testing.exporting import ExportPromises
from ad_detectors.testing.fits import FitPromises
from ad_detectors.testing.form import FormPromises
from ad_detectors.testing.rebuilding import RebuildPromises
from ad_detectors.testing.scoring import ScorePromises


class DetectorContract(
    FormPromises, FitPromises, ScorePromises, RebuildPromises, ExportPromises, AttackPromises
):
    """Promises of `ad_detectors.api.Detector`; a subclass has a fixture `subject`."""
