"""A prediction over many pictures gives each its one row, whatever dies or leaves while it is made."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import fitted
import placed_model
from ad_platform.states import JobState
from ad_platform.storage.parts import end_of, in_a_row, whole_parts
from ground import Ground, attempt_processes, ground

pytestmark = pytest.mark.redis

COUNT = 240
BROKEN = 200  # a picture that is none
SHARD = 16
TOLD = ("path", "score", "decision", "threshold", "error")


@dataclass(frozen=True)
class Photos:
    """A fitted model, and pictures for it: half of an hour's work made to take seconds by drawing each."""

    made: fitted.Fitted
    folder: Path

    def submit(self, land: Ground, *more: str) -> str:
        """Submit their prediction, with what is drawn of each, and return the job's id."""
        asked = ("--submit", "--shard", str(SHARD), "--masks", "--heat-maps", *more)
        answer = land.platform.json("predict", "screw", str(self.folder), *asked)
        return str(answer["jobs"][0]["id"])


@pytest.fixture(scope="module")
def photos(folder: Path) -> Photos:
    made, photos = fitted.fit(folder / "made"), folder / "photos"
    photos.mkdir()
    places = [made.category / "train" / "good", made.category / "test" / "cut"]
    sources = [file for place in places for file in sorted(place.iterdir())]
    for number, source in enumerate(sources):
        with Image.open(source) as image:
            image.resize((160, 160)).save(photos / f"{number:03}.png")
    for number in range(len(sources), COUNT):
        if number == BROKEN:
            (photos / f"{number:03}.png").write_text("no picture")
        else:
            os.link(photos / f"{number % len(sources):03}.png", photos / f"{number:03}.png")
    return Photos(made, photos)


def scored(land: Ground, job: str) -> int:
    """Return how many pictures have a row."""
    return end_of(in_a_row(whole_parts(land.storage, [job])))


def some_more(land: Ground, job: str) -> None:
    """Wait until a further shard is there."""
    before = scored(land, job)
    land.platform.wait(lambda: scored(land, job) > before, f"more than {before} pictures are scored", 150)


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def one_row_each(land: Ground, photos: Photos, job: str) -> None:
    """Check the results of a job against those of the same call here, bit for bit."""
    there = lines(land.platform("results", job, "--format", "jsonl", code=2))
    here = lines(land.platform("predict", "screw", str(photos.folder), "--format", "jsonl", code=2))
    assert [Path(row["path"]).name for row in there] == [f"{number:03}.png" for number in range(COUNT)]
    assert [number for number, row in enumerate(there) if row["decision"] == "unreadable"] == [BROKEN]
    assert [{name: row[name] for name in TOLD} for row in there] == [
        {name: row[name] for name in TOLD} for row in here
    ]


def drawn(land: Ground, job: str) -> Sequence[str]:
    """Return the names of what was drawn for the parts that count."""
    names: set[str] = set()
    for use in in_a_row(whole_parts(land.storage, [job])):
        manifest = land.storage.manifest(use.part.drawn)
        assert manifest is not None
        names |= set(manifest.files)
    return sorted(names)


@pytest.mark.timeout(400)
def test_a_killed_attempt_loses_and_doubles_no_row(land: Ground, worker, photos: Photos) -> None:
    placed_model.place(land.client, photos.made, queue="apart")
    job = photos.submit(land)
    some_more(land, job)
    for process in land.offspring(worker):
        process.kill()

    assert land.ended(job, 200).state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["failed", "succeeded"]
    one_row_each(land, photos, job)
    assert len(drawn(land, job)) == 2 * (COUNT - 1)


@pytest.mark.timeout(400)
def test_a_cancelled_prediction_ends_at_once_and_its_rows_can_be_had(
    land: Ground, worker, photos: Photos, tmp_path: Path
) -> None:
    # So many that no machine is done before it hears of the end.
    many = replace(photos, folder=tmp_path / "many")
    many.folder.mkdir()
    for number in range(20 * COUNT):
        os.link(photos.folder / f"{number % BROKEN:03}.png", many.folder / f"{number:05}.png")
    job = many.submit(land)
    some_more(land, job)
    land.platform("cancel", job)
    assert land.ended(job, 30).state is JobState.CANCELLED

    there = scored(land, job)
    assert 0 < there < 20 * COUNT
    assert len(lines(land.platform("results", job, "--format", "jsonl"))) == there


@pytest.fixture
def night(folder: Path, photos: Photos) -> Iterator[Ground]:
    with ground(folder / "night", ADCTL_LEASE="4") as land:
        placed_model.place(land.client, photos.made)
        yield land


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_workers_and_drains_lose_and_double_no_row(night: Ground, photos: Photos) -> None:
    platform = night.platform
    job = photos.submit(night, "--max-attempts", "9")
    for _ in range(2):
        worker = platform.start_worker()
        some_more(night, job)
        worker.send_signal(signal.SIGTERM)  # leaves in good order, with what it has scored
        worker.wait(120)
        assert not night.job(job).state.terminal

        worker = platform.start_worker()
        some_more(night, job)
        processes = attempt_processes(worker.pid)
        worker.kill()
        worker.wait()
        night.die(processes)
    platform.start_worker()

    assert night.ended(job, 600).state is JobState.SUCCEEDED
    outcomes = night.outcomes(job)
    assert outcomes[-1] == "succeeded"
    assert (outcomes.count("given_back"), outcomes.count("lost")) == (2, 2)
    one_row_each(night, photos, job)
    assert len(drawn(night, job)) == 2 * (COUNT - 1)
