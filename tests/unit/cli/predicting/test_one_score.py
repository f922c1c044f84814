"""The same image has the same score, bit for bit, wherever and with whatever others it is scored."""

import csv
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import predicting_here
from clientkit import Bench
from placed_model import Placed


@pytest.fixture
def files(placed: Placed) -> list[Path]:
    return [*sorted(placed.cut.iterdir()), *sorted(placed.good.iterdir())]


def test_alone_in_any_order_piped_watched_submitted_and_evaluated(
    adctl, said, desk: Bench, placed: Placed, files: list[Path]
) -> None:
    with (placed.made.results / "scores.csv").open(newline="") as table:
        evaluated = {row["path"]: float(row["score"]) for row in csv.DictReader(table)}

    def named(images) -> dict[str, float]:
        return {
            Path(one["path"]).relative_to(placed.made.category).as_posix(): one["score"] for one in images
        }

    together = named(adctl("predict", "screw", *map(str, files), "--json").json["images"])
    assert together == {name: evaluated[name] for name in together}
    assert len(set(together.values())) > len(files) / 2  # they are told apart

    turned = named(adctl("predict", "screw", *map(str, reversed(files)), "--json").json["images"])
    alone = [adctl("predict", "screw", str(file), "--json").json["images"] for file in files]
    assert together == turned == named(one for images in alone for one in images)

    for file in files[:2]:
        said(file.read_bytes())
        (piped,) = adctl("predict", "screw", "-", "--json").json["images"]
        assert [piped["score"]] == list(named([{**piped, "path": str(file)}]).values())
        assert piped["score"] == together[file.relative_to(placed.made.category).as_posix()]

    asked = adctl("predict", "screw", *map(str, files), "--submit", "--shard", "3", "--json").json
    job = predicting_here.run(desk, desk.store.jobs.get(asked["jobs"][0]["id"]))
    assert named(adctl("results", job.id, "--json").json["images"]) == together

    assert watched(adctl, placed) == {
        name: score for name, score in together.items() if name.startswith("test/cut")
    }


def watched(adctl, placed: Placed) -> dict[str, float]:
    """Return what a watch says of the pictures of one folder."""
    results = Path("watched/scores.jsonl")

    def end() -> None:
        deadline, pause = time.monotonic() + 60, threading.Event()
        while time.monotonic() < deadline and (
            not results.exists() or results.read_bytes().count(b"\n") < len(list(placed.cut.iterdir()))
        ):
            pause.wait(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    waiting = threading.Thread(target=end)
    waiting.start()
    adctl("predict", "screw", "--watch", str(placed.cut), "--out", "watched", "--settle", "0.05")
    waiting.join()
    rows = [json.loads(line) for line in results.read_bytes().splitlines()]
    return {Path(row["path"]).relative_to(placed.made.category).as_posix(): row["score"] for row in rows}
