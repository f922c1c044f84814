"""What a person asks of a sweep, and what it comes to: a plan to be looked at before it is submitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.requests import TrainRequest
from ad_platform.results import SELECTED_ON
from ad_platform.sweeps.study_spec import StudySpec

RESERVED = ("sweep", "trial", SELECTED_ON)  # tags that say where a job belongs and what chose its settings


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """A search over a detector's settings on a category."""

    train: TrainRequest  # what trials have in common; its seed is that of the first repeat
    params: Sequence[str] = ()  # as "w=0:12"; none: what the detector declares
    space_file: Path | None = None  # TOML
    objectives: Sequence[str] = ()
    sampler: str = "tpe"
    pruner: str | None = None  # None: the usual one where there is one objective
    seeds: int = 1
    sampler_seed: int = 0
    trials: int = 20
    parallel: int = 2
    name: str = ""  # a free one is made where empty
    warm_start: str | None = None  # a sweep whose trials are known from the start
    tested: bool = True  # the category has test images


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What would be submitted, and what is to be known of it."""

    spec: StudySpec
    name: str
    trials: int
    parallel: int
    notes: tuple[str, ...] = ()
    points: int | None = None  # how many there are to try; None: without end
    trainings: int | None = None  # how many different ones the space holds at most; None is not known
