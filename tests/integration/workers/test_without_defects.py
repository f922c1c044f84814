"""A category without anomalous test images is trained, evaluated and shown as any other: AUROC n/a."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from ad_cli import session
from ad_cli.main import run
from ad_detectors.testing import pictures
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def written(folder: Path, **counts: int) -> Path:
    """Write so many normal pictures into each split."""
    for seed, (split, count) in enumerate(counts.items()):
        (folder / split / "good").mkdir(parents=True)
        for index, image in enumerate(pictures(count, 16, seed=seed)):
            file = folder / split / "good" / f"{index}.png"
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return folder


def test_trainings_end_with_evaluations_that_say_that_there_is_no_auroc(
    land: Ground, worker: "subprocess.Popen[bytes]", tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def adctl(*arguments: str) -> str:
        with session.lend(land.client):
            code = run(arguments)
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    good = written(tmp_path / "parts" / "good_only", train=20, test=3)
    none = written(tmp_path / "parts" / "untested", train=20)
    call = ("submit", "train", "-m", "pixel_mean", "-p", "tiny", "--data")

    adctl(*call, str(good), "-q")
    waited = adctl(*call, str(none), "--wait")
    adctl("watch")
    listed = [adctl("list", "--category", name, "--kind", "evaluate") for name in ("good_only", "untested")]

    assert re.search(r"image AUROC +n/a", waited)
    assert all("succeeded" in text and "AUROC n/a" in text for text in listed)
    assert "n/a" in adctl("show", "@last")
    again = json.loads(adctl(*call, str(good), "--seed", "1", "--no-evaluate", "--dry-run", "--json"))
    assert again[0]["estimate"]["runs"] == 1
