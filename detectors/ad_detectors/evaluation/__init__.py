"""How good a fitted detector is: on the test split, on normal pictures held out, and how sure that is."""

from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.operating import OperatingPoint
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.plan import Plan, plan_trial, trial_images
from ad_detectors.evaluation.run import evaluate
from ad_detectors.evaluation.splits import SplitImages, split_images
from ad_detectors.evaluation.tables import write_results, write_scores
from ad_detectors.evaluation.trial import Trial, TrialOutcome

__all__ = [
    "Evaluation",
    "ImageResult",
    "OperatingPoint",
    "PartialEvaluation",
    "Plan",
    "SplitImages",
    "Trial",
    "TrialOutcome",
    "evaluate",
    "plan_trial",
    "split_images",
    "trial_images",
    "write_results",
    "write_scores",
]
