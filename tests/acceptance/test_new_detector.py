"""A detector is one file: written into a clone, it is submitted, killed and finished with no other edit."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from running_platform import Platform

pytestmark = [pytest.mark.redis, pytest.mark.data, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")
STEPS = 30

ONE_FILE = '''
"""Distance to the mean picture, learned slowly, to see what is kept of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from ad_detectors.api import Detector, Scores


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=256)] = 16
    steps: Annotated[int, Field(ge=1, le=1000)] = 30
    pause: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0


class SlowMean(Detector):
    """Scores by the distance to a mean picture."""

    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.mean, self.step = None, 0

    def fit(self, data, ctx):
        while self.step < self.config.steps:
            picture = data.batch([self.step % len(data)])[0].float()
            self.mean = picture if self.mean is None else 0.9 * self.mean + 0.1 * picture
            self.step += 1
            time.sleep(self.config.pause)
            ctx.report(self.step, of=self.config.steps, **{"train/loss": 1.0 / self.step})

    def score(self, images):
        maps = (images.float() - self.mean).abs().mean(1)
        return Scores(maps.amax((1, 2)), maps)

    def state(self):
        return {} if self.mean is None else {"fit/mean": self.mean, "fit/step": self.step}

    def restore(self, state):
        self.mean, self.step = state["fit/mean"], state["fit/step"]
'''


@pytest.fixture
def clone() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="adctl-clone-"))
    for root in ROOTS:
        shutil.copytree(ROOT / root, folder / root, ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def platform(clone: Path, redis_url: str) -> Iterator[Platform]:
    one = Platform(
        clone / "home", {"ADCTL_BROKER_URL": redis_url}, source_roots=[clone / root for root in ROOTS]
    )
    yield one
    one.close()


def test_a_new_detector_costs_one_file(clone: Path, platform: Platform, real_data: Path) -> None:
    (clone / "detectors" / "ad_detectors" / "zoo" / "slowmean.py").write_text(ONE_FILE)
    platform("db", "upgrade")
    platform.start_worker()
    assert "slowmean" in platform("detectors", "list")

    bottle = real_data / "mvtec" / "bottle"
    submitted = platform.json(
        *("submit", "train", "--model", "slowmean", "--data", str(bottle)),
        *("-S", f"steps={STEPS}", "-S", "pause=0.1", "--checkpoint-every", "1"),
    )
    train, evaluate = (job["id"] for job in submitted["jobs"])
    platform.wait(lambda: platform.committed_step(train) >= STEPS // 2, "half of it is done")
    os.kill(platform.child_pid(), signal.SIGKILL)

    platform("watch", train)
    platform("watch", evaluate)
    with platform.store() as store:
        attempts = store.jobs.attempts(train)
        result = store.jobs.get(evaluate).result
    assert [attempt.outcome for attempt in attempts] == ["failed", "succeeded"]
    assert attempts[1].facts["resumed_step"] >= STEPS // 2
    assert 0.5 < result["metrics"]["test/image_auroc"] <= 1.0
    assert 0.5 < result["metrics"]["validation/image_auroc"] <= 1.0
    assert set(result["defects"]) == {"broken_large", "broken_small", "contamination"}
    assert result["ms_per_image"] > 0
