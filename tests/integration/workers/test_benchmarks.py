"""A benchmark whose cells fail on real workers: the others end, and a retry computes only what failed."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_platform.states import JobKind, JobState
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(300)]

DATASET = "contest"


def pictures(root: Path, category: str) -> None:
    """Make a category whose anomalous pictures have a bright square, with its mask."""
    for number in range(6):
        random = np.random.default_rng([len(category), number])
        noise = random.integers(0, 90, (20, 20, 3), dtype=np.uint8)
        where = ("train/good", "test/good", "test/spot")[number // 2]
        if where == "test/spot":
            noise[5:12, 5:12] = 250
            mask = np.zeros((20, 20), np.uint8)
            mask[5:12, 5:12] = 255
            save(root / category / "ground_truth" / "spot" / f"{number}_mask.png", mask)
        save(root / category / where / f"{number}.png", noise)


def save(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def test_cells_that_fail_keep_no_other_from_its_end_and_are_computed_alone_on_retry(land: Ground) -> None:
    platform, cured = land.platform, land.platform.home / "cured"
    root = platform.home / "data" / DATASET
    for category in ("one", "two"):
        pictures(root, category)
    platform(
        *("submit", "benchmark", "-m", "pixel_mean:tiny,troublesome", "--data", str(root), "--seeds", "2"),
        *("-S", "troublesome.trouble=raise", "-S", f"troublesome.file={cured}", "--holdout", "none"),
        *("--name", "contest", "--device", "cpu"),
    )
    platform("watch", "contest", code=10)
    told = platform.json("benchmark", "show", "contest")
    assert told["cells"] == {"all": 8, "done": 4, "known": 0, "failed": 4, "open": 0}
    by_model = {(cell["model"], cell["state"]) for cell in told["results_of_cells"]}
    assert by_model == {("pixel_mean:tiny", "succeeded"), ("troublesome", "failed")}
    assert "lost its marbles" in platform("why", "contest")
    before = {job.id: job for job in jobs(land)}

    cured.touch()
    platform("retry", "contest")
    platform("watch", "contest")
    rows = list(csv.DictReader(io.StringIO(platform("benchmark", "results", "contest"))))
    assert [row["state"] for row in rows] == ["succeeded"] * 8
    assert all(float(row["img_auc"]) == 1.0 for row in rows if row["detector"] == "pixel_mean")
    fresh = [job for job in jobs(land) if job.id not in before]
    assert {job.spec.detector for job in fresh} == {"troublesome"}
    assert sorted(job.kind for job in fresh) == [JobKind.EVALUATE] * 4 + [JobKind.TRAIN] * 4
    assert all(job.retry_of in before for job in fresh)
    benchmark = land.client.store.benchmarks.get("contest")
    bundle = benchmark.summary["bundle"]
    assert isinstance(bundle, dict)
    manifest = land.storage.manifest(str(bundle["prefix"]))
    assert manifest is not None
    assert "results.csv" in manifest.files


def jobs(land: Ground) -> list:
    found = land.client.store.jobs.search(group="contest", limit=100)
    assert all(job.state in JobState for job in found)
    return found
