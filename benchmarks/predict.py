"""Measure images a second of predictions, here and submitted: `python benchmarks/predict.py`."""

import sys
from pathlib import Path

# A script's folder comes first on the path, and a file there would hide the standard library's `platform`.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
from parts.figures import Row, keep, report  # noqa: E402
from PIL import Image  # noqa: E402

TRAIN = 40  # pictures that the model is fitted to, half of which are held out


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000, metavar="N", help="that are scored")
    parser.add_argument("--side", type=int, default=64, metavar="PIXELS", help="of each")
    parser.add_argument("--detector", default="pixel_mean", help="the cheaper, the more the rest counts")
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adctl-bench-") as folder:
        bench = Bench(Path(folder), given.images, given.side, given.detector)
        try:
            rows = bench.measure()
        finally:
            bench.adctl("down")
    command = " ".join(["python benchmarks/predict.py", *sys.argv[1:]])
    text = report(f"predictions of {given.images} images", rows, command, ("torch", "pillow"))
    print(text)
    if not given.no_write:
        keep(text)


class Bench:
    """A home with services of its own, a model, and a folder of pictures."""

    def __init__(self, folder: Path, images: int, side: int, detector: str) -> None:
        self.folder, self.images, self.side, self.detector = folder, images, side, detector
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        self.env = {**kept, "ADCTL_HOME": str(folder / "home")}

    def measure(self) -> list[Row]:
        """Score all pictures in both ways, compare the results, and return what was measured."""
        model, photos = self._model(), self._pictures(self.folder / "photos", self.images, seed=1)
        began = time.perf_counter()
        here = self.adctl("predict", model, str(photos), "--format", "jsonl")
        local = time.perf_counter() - began
        began = time.perf_counter()
        job = json.loads(self.adctl("predict", model, str(photos), "--submit", "--json"))["jobs"][0]["id"]
        submitted = time.perf_counter() - began
        self.adctl("watch", job, "--json")
        whole = time.perf_counter() - began
        began = time.perf_counter()
        there = self.adctl("results", job, "--format", "jsonl")
        gathered = time.perf_counter() - began
        same = sorted(here.splitlines()) == sorted(there.splitlines())
        assert same, "the job gave other results than the same call here"
        return [
            Row(what="here, images/s", values=[self.images / local], unit=""),
            Row(
                what="submitted, images/s until it is seen to have ended",
                values=[self.images / whole],
                unit="",
            ),
            Row(what="submitted / here", values=[local / whole], unit=""),
            Row(what="`predict --submit` returns", values=[submitted]),
            Row(what="`results` gathers", values=[gathered]),
        ]

    def adctl(self, *arguments: str) -> str:
        """Call adctl and return what it printed."""
        command = [sys.executable, "-m", "ad_cli", *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"adctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _model(self) -> str:
        """Fit and evaluate the detector; return its train job."""
        category = self.folder / "data" / "made" / "noise"
        for place, count, seed in (("train/good", TRAIN, 2), ("test/good", 4, 3), ("test/bad", 4, 4)):
            self._pictures(category / place, count, seed=seed)
        self.adctl("up", "--slots", "1", "--no-ui")
        settings = ("--device", "cpu", "--imgsz", str(self.side), "--holdout", "10/40")
        told = self.adctl(
            "submit", "train", "--model", self.detector, "--data", str(category), *settings, "--json"
        )
        jobs = [job["id"] for job in json.loads(told)["jobs"]]
        self.adctl("watch", *jobs, "--json")
        return str(jobs[0])

    def _pictures(self, folder: Path, count: int, *, seed: int) -> Path:
        folder.mkdir(parents=True)
        dice = np.random.default_rng(seed)
        for number in range(count):
            pixels = dice.integers(90, 160, (self.side, self.side, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:06}.png", compress_level=1)
        return folder


if __name__ == "__main__":
    main()
