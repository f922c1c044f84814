"""What is to be scored, found and checked before torch is loaded: a typing error is said at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform import models
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_workers.predicting.pictures import collect

if TYPE_CHECKING:
    from ad_workers.predicting.scoring import Run


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person wants scored."""

    model: str
    images: Sequence[str]
    out: Path | None = None  # a folder for heat maps and scores.csv
    overwrite: bool = False
    rate: float | None = None  # of false alarms; None takes the calibrated threshold
    threshold: float | None = None  # set by hand
    device: str = "auto"


def begin(client: Client, asked: Asked) -> "Run":
    """Find everything that is named and load the model; raise, before anything is written, what is wrong."""
    if asked.rate is not None and asked.threshold is not None:
        raise InvalidRequest("give either --rate or --threshold, not both")
    if asked.threshold is not None and not math.isfinite(asked.threshold):
        raise InvalidValue(f"--threshold must be a number, not {asked.threshold}")
    if asked.rate is not None and not 0 < asked.rate < 1:
        raise InvalidValue(f"--rate is a share between 0 and 1, not {asked.rate:g}")
    pictures = collect(asked.images)
    from ad_workers.predicting.output import Output  # its drawing needs numpy and Pillow

    output = Output(asked.out, pictures, overwrite=asked.overwrite) if asked.out is not None else None
    model = models.find(client, asked.model)
    from ad_workers.predicting.scoring import load

    return load(
        client, model, pictures, output, device=asked.device, rate=asked.rate, by_hand=asked.threshold
    )
