"""A store with the sweep "night" in it, made once and copied for each test that looks at it."""

from pathlib import Path

from ad_platform.states import TrialOrigin, TrialState
from clientkit import bench
from sweep_stories import Sweep

LOW = {"lr": 0.0001, "image_size": 16, "mode": "mean"}
MID = {"lr": 0.0123456789, "image_size": 32, "mode": "median"}
HIGH = {"lr": 0.1, "image_size": 64, "mode": "mean"}


def with_night(template: Path, folder: Path) -> Path:
    """Return a store's file with the sweep: four trials that ended, one that runs, two that do not count."""
    with bench(template, folder) as desk:
        sweep = Sweep.of(desk.store, "night", wanted=9, parallel=2)
        sweep.tried(LOW, 0.91)
        sweep.tried(MID, 0.9712)
        sweep.tried(HIGH, 0.4, state=TrialState.PRUNED)
        sweep.tried(HIGH, state=TrialState.FAILED, error="the loss is nan")
        sweep.remember(TrialOrigin.RULED_OUT, TrialState.FAILED, MID, error="lr is too high for this size")
        sweep.known(LOW, 0.5)
        sweep.run(sweep.ask(MID))
        return desk.home / "store.db"
