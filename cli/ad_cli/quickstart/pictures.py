"""The three pictures at the end of the tour: scored by the champion, and painted."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ad_cli.quickstart.screws import Screws
from ad_platform.client import Client
from ad_platform.errors import InvalidData
from ad_platform.records import Champion

if TYPE_CHECKING:
    from ad_workers.predicting.rows import Prediction


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the champion says of the pictures, and where they lie painted."""

    predictions: "Sequence[Prediction]"
    threshold: str  # from which score on a picture is anomalous
    colours: str  # what the colours mean
    folder: Path


def look(client: Client, champion: Champion, screws: Screws) -> Seen:
    """Predict the pictures as `adctl predict` does; what an earlier tour painted is painted over."""
    # Read when torch is loaded: threads that spin while they wait slow a shared machine tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ad_workers.predicting.asking import Asked, begin

    run = begin(
        client,
        Asked(
            model=f"{champion.model}@{champion.alias}",
            images=[str(picture) for picture in screws.shown],
            out=client.settings.home / "quickstart",
            overwrite=True,
        ),
    )
    with closing(run.predict()) as made:
        predictions = tuple(made)
    if broken := next((each.error for each in predictions if each.error), ""):
        raise InvalidData(broken)
    return Seen(
        predictions=predictions,
        threshold=run.loaded.threshold.words,
        colours=run.loaded.colours,
        folder=client.settings.home / "quickstart",
    )
