"""How good a fitted detector is: on the test split, on normal pictures held out, and how sure that is.

The names are imported when they are asked for: to read an operating point takes no more than it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_PLACES = {
    "operating": ("OperatingPoint",),
    "image_result": ("ImageResult",),
    "outcome": ("Evaluation",),
    "partial": ("PartialEvaluation",),
    "plan": ("Plan", "plan_trial", "trial_images"),
    "run": ("evaluate",),
    "splits": ("SplitImages", "split_images"),
    "tables": ("write_results", "write_scores"),
    "trial": ("Trial", "TrialOutcome"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
