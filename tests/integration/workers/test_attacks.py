"""On a real worker an evaluation attacks its model and shows what is left of it."""

import csv
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_cli import session
from ad_cli.main import run
from ad_detectors.testing import pictures, with_defect
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

QUICK = (
    "--attack",
    "linf:steps=4,eot=1",
    "--attack",
    "l2:eps=1,steps=4,eot=1",
    "--attack",
    "certified:draws=40",
)


def written(folder: Path) -> Path:
    """Write normal pictures, and for the test some with a defect."""
    for seed, (split, count) in enumerate({"train/good": 20, "test/good": 6, "test/cut": 6}.items()):
        images = pictures(count, 16, seed=seed)
        (folder / split).mkdir(parents=True)
        for index, image in enumerate(with_defect(images) if split == "test/cut" else images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / split / f"{index}.png")
    return folder


def test_an_evaluation_tries_attacks_and_shows_what_they_leave_beside_the_plain_figures(
    land: Ground, worker: "subprocess.Popen[bytes]", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def adctl(*arguments: str) -> str:
        with session.lend(land.client):
            code = run(arguments)
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    data = written(tmp_path / "parts" / "attacked")
    settings = ("-S", "image_size=16", "-S", "blur_sigma=0.5")
    call = ("submit", "train", "-m", "pixel_mean", "-p", "tiny", *settings, "--no-evaluate", "--data")
    trained = adctl(*call, str(data), "-q").strip()
    land.ended(trained)
    job = adctl("submit", "evaluate", trained, *QUICK, "-q").strip()
    ended = land.ended(job)

    assert ended.state == "succeeded", ended.error
    left = ended.result["attacks"]
    assert isinstance(left, list)
    assert [each["name"] for each in left if isinstance(each, Mapping)] == ["linf", "l2", "certified"]
    metrics = ended.result["metrics"]
    assert isinstance(metrics, Mapping)
    plain, linf = metrics["test/image_auroc"], metrics["attack/linf/image_auroc"]
    assert isinstance(plain, float)
    assert isinstance(linf, float)
    assert linf <= plain
    assert isinstance(metrics["attack/certified/median_image_auroc"], float)
    intervals = ended.result["intervals"]
    assert isinstance(intervals, Mapping)
    assert "attack/l2/image_auroc" in intervals

    shown = adctl("show", job)
    assert "linf, eps 0.00784, 4 steps; l2, eps 1, 4 steps; certified, eps 0.1, 40 draws" in shown
    for line in ("test/image_auroc", "attack/linf/image_auroc", "attack/certified/image_auroc"):
        assert line in shown
    whole = json.loads(adctl("show", job, "--json"))
    assert whole["spec"]["attacks"][1] == {"name": "l2", "kind": "l2", "eps": 1.0, "steps": 4, "eot": 1}

    folder = tmp_path / "result"
    land.storage.fetch(str(ended.result["bundle"]), folder)
    with (folder / "attacks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    before, after = (np.array([float(row[name]) for row in rows]) for name in ("score", "linf"))
    bad = np.array([row["label"] == "1" for row in rows])
    assert (after[bad] < before[bad]).all()
    assert (after[~bad] > before[~bad]).all()
