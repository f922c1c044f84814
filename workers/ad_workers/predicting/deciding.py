"""Pictures scored and judged by a threshold, with what is drawn of them: the same here and in a job."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ad_detectors.evaluation import OperatingPoint
from ad_platform.errors import InvalidData
from ad_platform.specs import Json
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.places import Places
from ad_workers.predicting.rows import Prediction
from ad_workers.predicting.scorer import Scored, Scorer

# Draws what is wanted of a picture by its map and the map's threshold, and says where it lies.
Draw = Callable[[Picture, NDArray[np.float32], float | None], Places]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A threshold on the score, if there is one, and on the map, and where they come from."""

    point: OperatingPoint | None
    source: str  # in words; why there is none, where there is none
    by_hand: bool = False

    @property
    def words(self) -> str:
        """Say what is called anomalous and by what right."""
        if self.point is None:
            return f"no threshold, since {self.source}"
        return f"anomalous above {self.point.threshold:.6g} ({self.source})"

    def on_the_map(self, same: bool) -> "Threshold":
        """Return one set by hand with its like on the map, where a score is its map's highest value."""
        if self.point is None or not self.by_hand or not same:
            return self
        return replace(self, point=replace(self.point, map_threshold=self.point.threshold))

    def to_json(self) -> Json:
        """Return the threshold and what is known of it; null where there is none."""
        if self.point is None:
            return None
        flat: dict[str, Json] = {**self.point.to_json()}
        return {**flat, "rate": None} if self.by_hand else flat


@dataclass
class Decider:
    """A model that is ready to score, and from which score on a picture is anomalous."""

    scorer: Scorer
    threshold: Threshold

    @property
    def cut(self) -> float | None:
        """Return the score above which a picture is anomalous, if there is one."""
        return self.threshold.point.threshold if self.threshold.point else None

    def predictions(self, pictures: Sequence[Picture], draw: Draw | None) -> Iterator[list[Prediction]]:
        """Score pictures in order, batch by batch, and draw what is wanted of each."""
        for batch in self.scorer.batches(pictures):
            if self.scorer.same is not None:
                self.threshold = self.threshold.on_the_map(self.scorer.same)
            yield [self._prediction(each, draw) for each in batch]

    def _prediction(self, scored: Scored, draw: Draw | None) -> Prediction:
        point, name = self.threshold.point, scored.picture.name
        if scored.score is None:
            return Prediction(path=name, error=scored.error)
        places = Places()
        if draw is not None and scored.map is not None:
            try:
                places = draw(scored.picture, scored.map, point.map_threshold if point else None)
            except InvalidData as error:  # it was there a moment ago
                return Prediction(path=name, error=scored.picture.renamed(str(error)))
        return Prediction(
            path=name,
            score=scored.score,
            anomalous=None if point is None else scored.score > point.threshold,
            overlay=str(places.overlay or ""),
            mask=str(places.mask or ""),
            map=str(places.map or ""),
        )
