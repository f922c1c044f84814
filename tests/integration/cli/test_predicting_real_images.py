"""PatchCore on real bottles: what is predicted is what the evaluation measured, and good parts stay calm."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fitted
from ad_cli import session
from ad_cli.main import run
from ad_platform.registry.promotion import promote
from clientkit import Bench, bench, migrated

pytestmark = pytest.mark.data

CONFIG = {"image_size": 128, "bank_limit": 400}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in the attempt that the record tells of."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "template").mkdir()
    with bench(migrated(tmp_path / "template"), tmp_path) as made:
        yield made


@pytest.fixture
def bottle(real_data: Path, tmp_path: Path) -> Path:
    """Return a few of the real bottles."""
    source, part = real_data / "mvtec" / "bottle", tmp_path / "mvtec" / "bottle"
    for place, every in {"train/good": 5, "test/good": 5, "test/broken_large": 7}.items():
        (part / place).mkdir(parents=True)
        for file in sorted((source / place).iterdir())[::every]:
            shutil.copyfile(file, part / place / file.name)
    return part


def test_real_images_are_scored_and_painted_as_they_were_measured(
    one_thread: None, desk: Bench, bottle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fitted.fit_to(tmp_path / "work", bottle, "patchcore", CONFIG)
    storage = desk.client.storage
    train = fitted.trained(desk.store, storage, made)
    fitted.evaluated(desk.store, storage, made, train)
    promote(desk.store, storage, train, "champion", "kim")
    capsys.readouterr()

    with session.lend(desk.client):
        arguments = ("predict", "bottle", f"{bottle}/test/*/*", "--out", str(tmp_path / "heat"), "--json")
        assert run(arguments) == 0

    found = json.loads(capsys.readouterr().out)
    with (made.results / "scores.csv").open(newline="") as file:
        known = {row["path"]: float(row["score"]) for row in csv.DictReader(file) if row["split"] == "test"}
    scores = {str(Path(each["path"]).relative_to(bottle)): each["score"] for each in found["images"]}
    assert scores == known  # to the last bit
    for each in found["images"]:
        with Image.open(each["heat_map"]) as image:
            pixels = np.asarray(image).astype(int)
        warm = int((pixels[..., 0] > pixels[..., 2] + 60).sum())
        if "broken_large" in each["path"]:
            assert each["decision"] == "anomalous"
            assert warm > 500
        elif each["decision"] == "normal":
            assert warm == 0
    assert "normal" in {each["decision"] for each in found["images"]}
