"""A model that was fitted, evaluated and promoted in a store, for whoever predicts with it."""

from dataclasses import dataclass
from pathlib import Path

import fitted
from ad_platform.client import Client
from ad_platform.records import Job
from ad_platform.registry.promotion import promote


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


def place(client: Client, made: fitted.Fitted, queue: str = "default") -> Placed:
    """Put a fitted model into a client's store, with its jobs, as the champion."""
    store, storage = client.store, client.storage
    train = fitted.trained(store, storage, made, queue)
    evaluation = fitted.evaluated(store, storage, made, train)
    promote(store, storage, train, "champion", "kim")
    return Placed(made, train, evaluation)
