"""How much the best trial of a sweep flatters because it was chosen as the best of many on the same images.

Bootstrap bias correction: draw images with repetition, choose the best trial on those drawn, measure that
same trial on those not drawn, and average over draws (Tsamardinos, Greasidou and Borboudakis, "Bootstrapping
the out-of-sample predictions for efficient and accurate cross-validation", Machine Learning, 2018: BBC-CV).
Nothing is computed but the image AUROC of scores that are there.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform.errors import CorruptBundle
from ad_platform.records import Study
from ad_platform.results import result_of
from ad_platform.states import TrialState
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store
from ad_platform.sweeps.objectives import MAX
from ad_platform.sweeps.report import Optimism
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.viewing import TrialView, trial_views

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

DRAWS = 1000
LEVEL = 0.95
MOST = 200  # trials, the best: a worse one is hardly ever the best of a draw
AUROC = "image_auroc"
SCORES = "scores.csv"

Picture = tuple[str, str, str, int]  # path, label, defect, and which of several alike


@dataclass(frozen=True)
class Scored:
    """What some trials said of the same images."""

    scores: NDArray[np.float64]  # (T, R, N): trials, repeats, images
    labels: NDArray[np.bool_]  # (N,)
    paths: tuple[str, ...]  # of an image, or of the normal picture that it was made of


def flattery(store: Store, storage: Storage, study: Study, spec: StudySpec) -> Optimism | None:
    """Estimate how much the best trial of a study flatters; None where its scores cannot tell.

    That is so where the first objective is not an image AUROC, where the best trial was taken over from
    another study and has no scores, and where there are too few images to leave any out. Raises StorageDown.
    """
    first = spec.objectives[0]
    split, _, measure = first.metric.partition("/")
    if measure != AUROC or first.direction != MAX:
        return None
    complete = [trial for trial in store.studies.trials(study.id, [TrialState.COMPLETE]) if trial.values]
    best = sorted(complete, key=lambda trial: -(trial.values or (0.0,))[0])[:MOST]
    found: list[list[dict[Picture, float]]] = []
    for view in trial_views(store, study, spec, best):
        tables = _tables(storage, view, split)
        if len(tables) == spec.seeds:
            found.append(tables)
        elif view.trial.number == best[0].number:
            return None
    scored = aligned(found)
    return None if scored is None else corrected(scored, among=len(complete))


def corrected(scored: Scored, *, among: int, draws: int = DRAWS, seed: int = 0) -> Optimism | None:
    """Return the correction for choosing the first best of these trials, the best `among` so many.

    None with one trial, one class, or too few pictures to leave any out.
    """
    import numpy as np

    labels, units = scored.labels, _units(scored.paths)
    if len(scored.scores) < 2 or labels.all() or not labels.any():
        return None
    drawn = _draws(labels, units, draws, np.random.default_rng(seed))  # (1 + B, N), before those all as is
    inside = np.stack([_auroc(each, labels, drawn) for each in scored.scores], axis=1)  # (1 + B, T)
    chosen = inside.argmax(axis=1)  # of equal ones the first
    outside = (drawn == 0).astype(np.float64)
    values = np.full(len(drawn), np.nan)
    for trial in np.unique(chosen[1:]):
        rows = np.flatnonzero(chosen == trial)
        values[rows] = _auroc(scored.scores[trial], labels, outside[rows])
    values = values[1:][np.isfinite(values[1:])]
    if not len(values):
        return None
    selected, mean = float(inside[0].max()), float(values.mean())
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    return Optimism(
        selected=selected,
        corrected=mean,
        optimism=selected - mean,
        low=low,
        high=high,
        trials=among,
        images=int(units.max()) + 1,
    )


def aligned(tables: Sequence[Sequence[Mapping[Picture, float]]]) -> Scored | None:
    """Return the scores of trials on the images of the first one, side by side.

    Trials of other images, or with a score that is no number, are left out; None if the first one is.
    """
    import numpy as np

    pictures = sorted(tables[0][0]) if tables else []
    same = [each for each in tables if all(sorted(table) == pictures for table in each)]
    scores = [[[table[picture] for picture in pictures] for table in each] for each in same]
    values = np.asarray(scores, np.float64)
    if not values.size or not np.isfinite(values[0]).all():
        return None
    values = values[np.isfinite(values).all(axis=(1, 2))]
    labels = np.asarray([label == "1" for _, label, _, _ in pictures])
    return Scored(values, labels, tuple(path for path, *_ in pictures))


def read_scores(file: Path, split: str) -> dict[Picture, float]:
    """Return the score of every image of a split that a job has written."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found: dict[Picture, float] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["split"] == split:
                # Two defects of a kind may have been planted into one picture.
                picture = (row["path"], row["label"], row["defect"])
                found[(*picture, seen[picture])] = float(row["score"])
                seen[picture] += 1
    return found


def _tables(storage: Storage, view: TrialView, split: str) -> list[dict[Picture, float]]:
    """Return the scores of each repeat of a trial, as far as they are there and whole."""
    found = []
    for job in view.jobs:
        bundle = result_of(job).bundle
        with tempfile.TemporaryDirectory(prefix="adctl-scores-") as folder:
            try:
                if bundle is None:
                    continue
                storage.fetch(bundle, Path(folder))
                found.append(read_scores(Path(folder) / SCORES, split))
            except (CorruptBundle, FileNotFoundError, KeyError, ValueError):
                continue
    return found


def _units(paths: Sequence[str]) -> NDArray[np.intp]:  # (N,)
    """Return the number of the picture that each image was made of: what is drawn is pictures."""
    import numpy as np

    return np.unique(np.asarray(paths), return_inverse=True)[1]


def _draws(
    labels: NDArray[np.bool_], units: NDArray[np.intp], draws: int, random: np.random.Generator
) -> Values:  # (1 + B, N)
    """Return how often each image comes in each draw; before those, the images as they are.

    Normal and anomalous pictures are drawn apart. A normal picture and the synthetic defects that were
    planted into it are drawn together: what is left out must have nothing to do with what was drawn.
    """
    import numpy as np

    count = int(units.max()) + 1
    normal, anomalous = (np.bincount(units[labels == label], minlength=count) > 0 for label in (False, True))
    weights = np.ones((1 + draws, count))
    for group in (normal & ~anomalous, anomalous & ~normal, normal & anomalous):
        size = int(group.sum())
        if size:
            weights[1:, group] = random.multinomial(size, np.full(size, 1 / size), size=draws)
    return weights[:, units]


def _auroc(scores: Values, labels: NDArray[np.bool_], weights: Values) -> Values:
    """Return the image AUROC of each draw (B,), the mean over repeats (R, N); NaN without both classes."""
    import numpy as np

    often, rarely = weights[:, labels].astype(np.float32), weights[:, ~labels]
    pairs = often.sum(axis=1, dtype=np.float64) * rarely.sum(axis=1)
    total = np.zeros(len(weights))
    for each in scores:
        anomalous, normal = each[labels], each[~labels]
        # Whole and half numbers, so 32 bits hold the sums exactly.
        wins = (anomalous[:, None] > normal) + np.float32(0.5) * (anomalous[:, None] == normal)
        total += ((often @ wins).astype(np.float64) * rarely).sum(axis=1)
    unknown = np.full(len(pairs), np.nan)
    found: Values = np.divide(total / len(scores), pairs, out=unknown, where=pairs > 0)
    return found
