"""A model that was fitted, evaluated and promoted in a store, for whoever predicts with it."""

from dataclasses import dataclass
from pathlib import Path

import fitted
from ad_platform.records import Job
from ad_platform.registry.promotion import promote
from clientkit import Bench


@dataclass(frozen=True)
class Placed:
    """A model in the store, with its evaluation, as the champion."""

    made: fitted.Fitted
    train: Job
    evaluation: Job

    @property
    def good(self) -> Path:
        return self.made.category / "test" / "good"

    @property
    def cut(self) -> Path:
        return self.made.category / "test" / "cut"


def place(desk: Bench, made: fitted.Fitted) -> Placed:
    """Put a fitted model into a store, with its jobs, as the champion."""
    storage = desk.client.storage
    train = fitted.trained(desk.store, storage, made)
    evaluation = fitted.evaluated(desk.store, storage, made, train)
    promote(desk.store, storage, train, "champion", "kim")
    return Placed(made, train, evaluation)
