"""A platform of its own in a temporary folder, with a trivial detector added to a copy of the sources."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.records import Job
from ad_platform.settings import Settings

ROOT = Path(__file__).parents[2]
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")
PATIENCE = 1800.0

INSTANT = '''"""The mean picture, learnt at once: what a job costs beside its computation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated

from pydantic import Field

from ad_detectors.api import Detector, Scores


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=256)] = 32
    gain: Annotated[float, Field(ge=0.1, le=10.0)] = 1.0


SPACE = {"gain": {"low": 0.1, "high": 10.0, "log": True}}


class Instant(Detector):
    """Scores by the distance to the mean picture; tells when its first step began."""

    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.mean = None

    def fit(self, data, ctx):
        began = time.time()
        if self.mean is None:
            self.mean = data.batch(range(len(data))).float().mean(0)
            ctx.report(1, of=1, **{"train/began": began})

    def score(self, images):
        maps = (images.float() - self.mean).abs().mean(1) * self.config.gain
        return Scores(maps.amax((1, 2)), maps)

    def state(self):
        return {} if self.mean is None else {"fit/mean": self.mean}

    def restore(self, state):
        self.mean = state["fit/mean"]
'''


@dataclass(frozen=True)
class Home:
    """A running platform and how to use it as a person does."""

    folder: Path
    category: Path
    slots: int
    seeds: Iterator[int] = field(default_factory=count)

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of every process of this platform."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        roots = [str(self.folder / "sources" / root) for root in ROOTS]
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(roots),
            "ADCTL_HOME": str(self.folder / "home"),
            "ADCTL_USER": "bench",
        }

    @property
    def settings(self) -> Settings:
        """Return the settings its processes read."""
        return environment.load(self.env)

    def adctl(self, *arguments: str) -> str:
        """Run a command as a process of its own and return what it printed."""
        return run([sys.executable, "-m", "ad_cli", *arguments], self.env, self.folder)

    def submit(self, *arguments: str, model: str = "instant") -> str:
        """Submit a fit as a process and return the job's id; each has a seed of its own.

        With the seed of an earlier one its finished stages would be taken instead of fitted.
        """
        fit = ("submit", "train", "--model", model, "--data", str(self.category), "--no-evaluate")
        return self.adctl(*fit, "--seed", str(next(self.seeds)), "-q", *arguments).split()[0]

    def ended(self, ids: Sequence[str], every: float = 0.01) -> list[Job]:
        """Look every so many seconds until jobs have ended, and return them; all must have succeeded."""
        with Client(self.settings) as client:
            end = time.monotonic() + PATIENCE
            while True:
                jobs = [client.store.jobs.get(job_id) for job_id in ids]
                if all(job.state.terminal for job in jobs):
                    break
                if time.monotonic() > end:
                    raise SystemExit(f"the jobs {', '.join(ids)} did not end within {PATIENCE:.0f} s")
                time.sleep(every)
        for job in jobs:
            if job.state != "succeeded":
                raise SystemExit(f"job {job.id} {job.state}: {job.error}")
        return jobs


@contextmanager
def running(slots: int) -> Iterator[Home]:
    """Start the services in a folder of their own, and stop and remove them afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="adctl-bench-"))
    try:
        for root in ROOTS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / root, folder / "sources" / root, ignore=ignored)
        (folder / "sources/detectors/ad_detectors/zoo/instant.py").write_text(INSTANT)
        home = Home(folder, _pictures(folder / "data" / "shapes" / "discs"), slots)
        try:
            home.adctl("up", "--no-ui", "--slots", str(slots))
            home.ended([home.submit()])  # the worker is warm once a first job has ended
            yield home
        finally:
            home.adctl("down")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(command: Sequence[str], env: dict[str, str], folder: Path) -> str:
    """Run a program and return what it printed; end with its words if it fails."""
    done = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def run_json(command: Sequence[str], env: dict[str, str], folder: Path) -> Any:
    """Run a program that prints one JSON value last."""
    return json.loads(run(command, env, folder).splitlines()[-1])


def _pictures(category: Path) -> Path:
    """Draw the normal pictures of a category: one disc each, on a noisy ground."""
    from PIL import Image, ImageDraw

    good = category / "train" / "good"
    good.mkdir(parents=True)
    dice = random.Random(0)  # the same pictures in every run
    for number in range(64):
        noise = Image.frombytes("L", (64, 64), dice.randbytes(64 * 64))
        picture = Image.blend(Image.new("RGB", (64, 64), (90, 110, 130)), noise.convert("RGB"), 0.1)
        x, y = dice.randint(20, 44), dice.randint(20, 44)
        ImageDraw.Draw(picture).ellipse((x - 14, y - 14, x + 14, y + 14), fill=(200, 60, 40))
        picture.save(good / f"{number:03d}.png")
    return category
