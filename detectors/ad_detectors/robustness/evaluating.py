"""Attacks on every test picture of an evaluation, and what the detector is still worth then.

An anomalous picture is changed so that its score falls, a normal one so that it rises, all by the same
budget: the AUROC of what comes of that is the robust one. A bound takes of an anomalous picture the least its
score can be made, of a normal one the most: no change within the budget brings the AUROC below that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Attackable
from ad_detectors.data.layout import GOOD
from ad_detectors.errors import NotFinite, StateError
from ad_detectors.evaluation.parts import Part
from ad_detectors.metrics.bootstrap import Evidence, Interval, intervals
from ad_detectors.metrics.ranking import auroc
from ad_detectors.robustness import smoothing
from ad_detectors.robustness.asked import Attack, Certificate, to_json
from ad_detectors.robustness.pgd import pgd

if TYPE_CHECKING:
    from ad_detectors.api import State

Asked = Sequence[tuple[str, Attack | Certificate]]  # each under a name of its own
Report = Callable[[int, int], None]  # batches of all attacks done, and in all
BATCH = 8  # pictures that are attacked together
SEED = 20_291_103  # of what attacks draw; a picture's noise depends on it, the attack's name and its place


@dataclass
class PartialAttacks:
    """What came of the attacks so far; between batches it can be saved and gone on with."""

    of: str = ""  # what is attacked, and how
    rows: dict[str, list[list[float]]] = field(default_factory=dict)  # a score, or median and bounds

    def state(self) -> State:
        """Return it as tensors, beside the state of the evaluation."""
        kept: dict[str, Tensor | str] = {"attacks/of": self.of}
        return kept | {
            f"attacks/rows/{name}": torch.tensor(rows, dtype=torch.float64)
            for name, rows in self.rows.items()
        }

    @classmethod
    def restore(cls, state: State) -> PartialAttacks:
        """Go on from what `state` returned; nothing of it there means that no attack was begun."""
        prefix = "attacks/rows/"
        rows = {
            key.removeprefix(prefix): value.tolist()
            for key, value in state.items()
            if key.startswith(prefix) and isinstance(value, Tensor)
        }
        return cls(str(state.get("attacks/of", "")), rows)


@dataclass(frozen=True)
class Outcome:
    """What an attack, or the bounds that no attack can break, leave of a detector."""

    name: str
    asked: Attack | Certificate
    scores: NDArray[np.float64]  # (N,) after the attack; for a bound the worst that can be made of each
    image_auroc: float | None
    interval: Interval | None  # 95 %, over the test pictures
    medians: NDArray[np.float64] | None = None  # of a bound: the scores that are bounded
    median_auroc: float | None = None  # theirs, without any attack
    unbounded: int = 0  # pictures of which the draws bound nothing

    def flat(self) -> dict[str, float | None]:
        """Return its measures by names like "attack/linf/image_auroc"."""
        found = {f"attack/{self.name}/image_auroc": self.image_auroc}
        if self.medians is not None:
            found[f"attack/{self.name}/median_image_auroc"] = self.median_auroc
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what a person wants to read of it."""
        ends = [self.interval.low, self.interval.high] if self.interval is not None else None
        more = {} if self.medians is None else {"median_image_auroc": self.median_auroc}
        more |= {} if self.medians is None else {"unbounded": self.unbounded}
        return {**to_json(self.name, self.asked), "image_auroc": self.image_auroc, "interval": ends, **more}


def attack(
    attacked: Attackable,
    part: Part,
    asked: Asked,
    device: torch.device,
    report: Report | None = None,
    done: PartialAttacks | None = None,
    divisor: int = 1,
) -> list[Outcome]:
    """Attack the pictures of the test split in every way that is asked for.

    After each batch `report` is called; `done`, which grows, may be saved then and handed in again. Batches
    are made smaller by `divisor`, which moves scores by rounding alone. Raises StateError if `done` is of
    something else, NotFinite naming the picture whose score is not.
    """
    partial = done if done is not None else PartialAttacks()
    count, size = len(part.pictures), max(1, BATCH // divisor)
    of = _identity(part, asked)
    if partial.of not in ("", of) or any(len(rows) > count for rows in partial.rows.values()):
        raise StateError("other attacks were begun before; evaluate anew")
    partial.of = of
    total = len(asked) * count
    for number, (name, how) in enumerate(asked):
        rows = partial.rows.setdefault(name, [])
        for indices in _batches(len(rows), count, size):
            rows += _rows(attacked, part, indices, name, how, device)
            if report is not None:
                report(number * count + len(rows), total)
    return [outcome(name, how, np.array(partial.rows[name]), labels_of(part)) for name, how in asked]


def labels_of(part: Part) -> NDArray[np.bool_]:
    """Return which pictures are anomalous."""
    return np.array([part.pictures.defect(index) != GOOD for index in range(len(part.pictures))], np.bool_)


def outcome(
    name: str, how: Attack | Certificate, rows: NDArray[np.float64], labels: NDArray[np.bool_]
) -> Outcome:
    """Measure what came of one attack: rows are scores (N, 1), or medians and bounds (N, 3)."""
    if isinstance(how, Attack):
        return Outcome(name, how, rows[:, 0], *_measured(rows[:, 0], labels))
    medians, low, high = rows.T
    worst = np.where(labels, low, high)
    return Outcome(
        name,
        how,
        worst,
        *_measured(worst, labels),
        medians=medians,
        median_auroc=auroc(medians.astype(np.float32), labels),
        unbounded=int(np.isinf(worst).sum()),
    )


def _rows(
    attacked: Attackable,
    part: Part,
    indices: Sequence[int],
    name: str,
    how: Attack | Certificate,
    device: torch.device,
) -> list[list[float]]:
    images = part.pictures.batch(indices).to(device).float() / 255.0
    paths = [part.pictures.path(index) for index in indices]
    if isinstance(how, Certificate):
        found = [
            _bounded(attacked, image, path, name, how) for image, path in zip(images, paths, strict=True)
        ]
    else:
        raising = torch.tensor([part.pictures.defect(index) == GOOD for index in indices])
        searching, judging = (
            [determinism.generator(SEED, name, what, path) for path in paths] for what in ("search", "judge")
        )

        def score(changed: Tensor, own: Sequence[torch.Generator]) -> Tensor:
            return attacked.scores(changed, own, how.soft)

        changed = pgd(score, images, raising, how, searching)
        with torch.no_grad():
            # By noise that the attack has not seen, as the detector would draw for another picture.
            found = [[float(each)] for each in attacked.scores(changed, judging)]
    for path, row in zip(paths, found, strict=True):
        if any(np.isnan(value) for value in row):
            raise NotFinite(f"after the attack {name} the score of {path} is not a number")
    return found


def _bounded(attacked: Attackable, image: Tensor, path: str, name: str, how: Certificate) -> list[float]:
    sigma, noisy = attacked.smoothing(how.sigma)
    generator = determinism.generator(SEED, name, "noise", path)
    scores: list[float] = []
    while len(scores) < how.draws:
        count = min(BATCH, how.draws - len(scores))
        noise = torch.randn((count, *image.shape), generator=generator).to(image.device)
        own = [
            determinism.generator(SEED, name, "own", path, number)
            for number in range(len(scores), len(scores) + count)
        ]
        with torch.no_grad():
            scores += noisy(image[None] + sigma * noise, own).double().tolist()
    found = smoothing.bounds(np.array(scores), how.eps, sigma)
    return [found.median, found.low, found.high]


def _measured(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float | None, Interval | None]:
    # What is unbounded ranks below, or above, everything else; no measure here asks by how much.
    most = float(np.finfo(np.float32).max)
    known = np.clip(scores, -most, most).astype(np.float32)
    return auroc(known, labels), intervals(Evidence(known, labels)).get("image_auroc")


def _batches(start: int, end: int, size: int) -> Iterator[range]:
    for first in range(start, end, size):
        yield range(first, min(first + size, end))


def _identity(part: Part, asked: Asked) -> str:
    paths: Mapping[str, Any] = {"pictures": [part.pictures.path(i) for i in range(len(part.pictures))]}
    ways = [to_json(name, how) for name, how in asked]
    return str(determinism.derive(0, str([paths, ways])))
