"""The attacks that an evaluation was asked for: tried on its test pictures once all are scored."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ad_detectors.api import Detector
from ad_detectors.errors import DataError
from ad_detectors.evaluation.image_result import TEST
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.evaluation.parts import Part
from ad_detectors.robustness.asked import from_json
from ad_detectors.robustness.evaluating import Outcome, PartialAttacks, attack
from ad_platform.specs import JobSpec, Json

TABLE = "attacks.csv"


def pictures(spec: JobSpec, parts: Sequence[Part]) -> int:
    """Return how many pictures all attacks of a job are to change; raise DataError where there are none."""
    if not spec.attacks:
        return 0
    test = _test(parts)
    if test is None:
        raise DataError("there are no test images to attack; add test/good/ and test/<defect>/")
    return len(spec.attacks) * len(test.pictures)


def tried(
    spec: JobSpec,
    detector: Detector,
    parts: Sequence[Part],
    device: torch.device,
    report: Callable[[int, int], None],
    done: PartialAttacks,
) -> list[Outcome]:
    """Attack the test pictures as the job asks, going on from what was done."""
    test = _test(parts)
    if not spec.attacks or test is None:
        return []
    asked = [from_json(each.to_json()) for each in spec.attacks]
    attacked = detector.attackable(device)
    return attack(attacked, test, asked, device, report, done, detector.batch_divisor)


def measures(outcomes: Sequence[Outcome]) -> dict[str, Json]:
    """Return what the attacks leave, under names of measures."""
    return {name: value for each in outcomes for name, value in each.flat().items()}


def intervals(outcomes: Sequence[Outcome]) -> dict[str, Json]:
    """Return the 95 % interval of what each attack leaves."""
    return {
        f"attack/{each.name}/image_auroc": [each.interval.low, each.interval.high]
        for each in outcomes
        if each.interval is not None
    }


def write(outcomes: Sequence[Outcome], evaluation: Evaluation, folder: Path) -> None:
    """Write a line for each test picture with its score, and what each attack made of it."""
    if not outcomes:
        return
    header = ["path", "label", "defect", "score", *(each.name for each in outcomes)]
    columns = [each.scores.tolist() for each in outcomes]
    lines = [
        [image.path, str(image.label), image.defect, *(repr(float(each)) for each in (image.score, *after))]
        for image, *after in zip(evaluation.images, *columns, strict=True)
    ]
    with (folder / TABLE).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])


def _test(parts: Sequence[Part]) -> Part | None:
    return next((part for part in parts if part.split == TEST), None)
