"""What a trial scores for the measures that are asked of it, in which order, and where its rungs end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_detectors.config import nearest
from ad_detectors.data.images import CachedImages, TestImages, test_images, validation_images
from ad_detectors.data.layout import GOOD, Category
from ad_detectors.data.splits import NONE, Holdout
from ad_detectors.errors import ConfigError, DataError
from ad_detectors.evaluation.image_result import TEST, VALIDATION
from ad_detectors.evaluation.measuring import IMAGE_MEASURES, PIXEL_MEASURES, VALIDATED
from ad_detectors.evaluation.order import mixed
from ad_detectors.evaluation.parts import LEAST_SIDE, Labelled, Mixed, Part, Pictures, validated
from ad_detectors.evaluation.scoring import BATCH, count_batches
from ad_detectors.evaluation.splits import SplitImages

LATENCY = "latency_ms"  # milliseconds to score a picture
RUNGS = 8
MEASURES = (
    *(f"{VALIDATION}/{name}" for name in VALIDATED),
    *(f"{TEST}/{name}" for name in (*IMAGE_MEASURES, *PIXEL_MEASURES)),
    LATENCY,
)


@dataclass(frozen=True)
class Plan:
    """The pictures of a trial in the order in which they are scored."""

    measures: tuple[str, ...]  # the first is also estimated on the way, at the end of each rung
    parts: tuple[Part, ...]
    rungs: tuple[int, ...] = ()  # how many pictures are scored where each rung ends
    batch: int = BATCH  # pictures that are scored at a time

    @property
    def with_maps(self) -> bool:
        """Return whether anomaly maps are measured."""
        return any(of_pixels(name) for name in self.measures)

    @property
    def batches(self) -> int:
        """Return how many batches there are to score."""
        return count_batches(self.parts, self.batch)


def splits_of(measures: Sequence[str]) -> list[str]:
    """Return the splits that measures are of, that of the first one first; none for the latency alone."""
    return list(dict.fromkeys(name.partition("/")[0] for name in measures if name != LATENCY))


def trial_images(
    measures: Sequence[str],
    category: Category,
    size: int,
    cache: Path,
    fingerprint: str,
    holdout: Holdout = NONE,
) -> SplitImages:
    """Open the splits that measures need, at size x size; what there is not is None."""
    splits = splits_of(measures)
    validation: CachedImages | None = None
    test: TestImages | None = None
    if VALIDATION in splits or not splits:
        validation = validation_images(category, size, cache, fingerprint, holdout) or None
    if category.test and (TEST in splits or not (splits or validation)):
        test = test_images(category, size, cache, fingerprint)
    return SplitImages(test, validation)


def plan_trial(measures: Sequence[str], images: SplitImages, together: int | None = None) -> Plan:
    """Return what to score; raise ConfigError or DataError for a measure that these pictures cannot tell.

    All normal pictures come first, then the anomalous ones, mixed, in rungs. Where scores depend on the batch
    and `together` pictures must be scored at a time, they come in the published order, without rungs.
    """
    for name in measures:
        if name not in MEASURES:
            raise ConfigError(f"a trial has no measure '{name}'; {nearest(name, list(MEASURES))}")
        _refuse_untold(name, images)
    splits = splits_of(measures) or [VALIDATION if images.validation is not None else TEST]
    first = measures[0]
    parts: list[Part] = []
    rungs: tuple[int, ...] = ()
    for split in splits:
        runs = _runs(split, images)
        if together is not None:
            parts += [Part(split, run) for run in runs]
            continue
        normal, anomalous, counted = _in_order(runs, pixels=of_pixels(first))
        if first.startswith(f"{split}/"):
            rungs = _rungs(len(normal), len(anomalous), counted)
        parts += [Part(split, Mixed(runs, places)) for places in (normal, anomalous) if places]
    return Plan(tuple(measures), tuple(parts), rungs, together or BATCH)


def _runs(split: str, images: SplitImages) -> list[Pictures]:
    if split == TEST and images.test is not None:
        return [Labelled(images.test)]
    if split == VALIDATION and images.validation is not None:
        return validated(images.validation)
    raise DataError("there are no pictures to score; add test/good/, or hold some out: --holdout 10/10")


def _in_order(
    runs: Sequence[Pictures], *, pixels: bool
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
    """Return the normal pictures, the anomalous ones mixed, and how many of these count at a rung.

    An anomalous picture whose defect nobody drew counts in no measure of pixels: those come last then.
    """
    normal: list[tuple[int, int]] = []
    anomalous: list[tuple[int, int]] = []
    names: list[tuple[str, str]] = []
    for number, run in enumerate(runs):
        for place in range(len(run)):
            defect = run.defect(place)
            if defect == GOOD:
                normal.append((number, place))
            else:
                anomalous.append((number, place))
                names.append((defect, f"{run.path(place)} {number}"))
    ordered = [anomalous[index] for index in mixed(names)]
    if not pixels:
        return normal, ordered, len(ordered)
    drawn = {each: runs[each[0]].mask(each[1]) is not None for each in ordered}
    counted = [each for each in ordered if drawn[each]]
    return normal, [*counted, *(each for each in ordered if not drawn[each])], len(counted)


def _rungs(normal: int, anomalous: int, counted: int) -> tuple[int, ...]:
    """Return where rungs of equally many anomalous pictures end; the last one at the end of all."""
    number = min(RUNGS, counted)
    ends = [normal + counted * rung // number for rung in range(1, number + 1)]
    return (*ends[:-1], normal + anomalous) if ends else ()


def _refuse_untold(name: str, images: SplitImages) -> None:
    """Raise ConfigError or DataError, with what to do, where pictures are missing that a measure needs."""
    split = name.partition("/")[0]
    if split == VALIDATION:
        if images.validation is None:
            raise DataError(
                f"{name} needs normal images held out of training, and there are none; hold some out with "
                "--holdout 10/10, of ten images or more, or compare by test/image_auroc"
            )
        if min(images.validation.size) < LEAST_SIDE:
            raise ConfigError(
                f"{name} needs images of {LEAST_SIDE} pixels or more, in which a synthetic defect has room; "
                f"raise image_size from {min(images.validation.size)}"
            )
    elif split == TEST:
        _refuse_test(name, images.test)


def _refuse_test(name: str, test: TestImages | None) -> None:
    instead = "or compare by validation/image_auroc, with --holdout 10/10"
    if test is None:
        raise DataError(
            f"{name} needs test images, and there are none; add test/good/ and test/<defect>/, {instead}"
        )
    missing = [place for place, label in (("good", 0), ("<defect>", 1)) if label not in test.labels]
    if missing:
        raise DataError(f"{name} needs normal and anomalous test images; add test/{missing[0]}/, {instead}")
    pictures = Labelled(test)
    anomalous = (index for index, label in enumerate(test.labels) if label)
    if of_pixels(name) and all(pictures.mask(index) is None for index in anomalous):
        raise DataError(f"{name} needs masks, and no defect is drawn; add ground_truth/<defect>/, {instead}")


def of_pixels(name: str) -> bool:
    """Say whether a measure is one of anomaly maps."""
    return name.partition("/")[2] in PIXEL_MEASURES
