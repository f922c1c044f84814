"""How good a fitted detector is: on the test split, on normal pictures held out, and how sure that is."""

from ad_detectors.evaluation.operating import OperatingPoint
from ad_detectors.evaluation.outcome import Evaluation, ImageResult
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.run import evaluate
from ad_detectors.evaluation.splits import SplitImages, split_images
from ad_detectors.evaluation.tables import write_results

__all__ = [
    "Evaluation",
    "ImageResult",
    "OperatingPoint",
    "PartialEvaluation",
    "SplitImages",
    "evaluate",
    "split_images",
    "write_results",
]
