"""Exported files score picture files as the platform does, where neither adctl nor torch can be imported."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fitted
from ad_cli import session
from ad_cli.main import run
from ad_detectors.checkpoint import load_model
from ad_detectors.exporting.parity import TOLERANCE
from ad_platform.registry.promotion import promote
from clientkit import Bench, bench, migrated
from services import unavailable

# What the child may import: these folders alone lie on its path.
ALONE = {
    "onnx": ("numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime"),
    "openvino": ("numpy", "numpy.libs", "PIL", "pillow.libs", "openvino"),
}
CHILD = """
import importlib.util, json, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
for name in ("torch", "ad_detectors", "ad_platform", "onnx"):
    assert importlib.util.find_spec(name) is None, name
import numpy as np
from PIL import Image

def runner(path):
    names = ["score", "anomalous", "map"]
    if path.endswith(".onnx"):
        import onnxruntime
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map
        return about, lambda images: session.run(names, {"images": images})
    import openvino
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    def run(images):
        found = compiled({"images": images})
        return [found[name] for name in names]
    return {}, run

about, run = runner(sys.argv[2])
found = []
for path in sys.argv[3:]:
    image = np.asarray(Image.open(path).convert("RGB"))
    (score,), (anomalous,), (high,) = run(image[None])
    many = run(np.stack([image[::-1], image, image]))[0]
    found.append([float(score), bool(anomalous), list(high.shape), float(high.max()), float(many[1])])
print(json.dumps({"about": about, "found": found}))
"""


@dataclass(frozen=True)
class Placed:
    """Two detectors fitted to the same pictures, the first of them with its evaluation in a store."""

    bench: Bench
    mean: fitted.Fitted
    patches: fitted.Fitted
    job: str
    pictures: tuple[Path, ...]  # of sizes that are not the detectors'


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placed]:
    if any(find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript", "openvino")):
        unavailable("exporting is not installed: pip install 'adctl[export]'")
    folder = tmp_path_factory.mktemp("exported")
    mean = fitted.fit(folder / "mean")
    tiny = {"image_size": 32, "layers": [4, 8], "grid_stride": 4, "bank_limit": 16, "blur_sigma": 0.5}
    (folder / "patches").mkdir()
    config = {**tiny, "image_score": "patch", "neighbours": 3}
    patches = fitted.fit_to(folder / "patches", mean.category, "patchcore", config)
    with bench(migrated(folder), folder) as desk:
        storage = desk.client.storage
        train = fitted.trained(desk.store, storage, mean)
        fitted.evaluated(desk.store, storage, mean, train)
        promote(desk.store, storage, train, "champion", "kim")
        yield Placed(desk, mean, patches, train.id, _pictures(mean.category, folder / "sizes"))


def _pictures(category: Path, folder: Path) -> tuple[Path, ...]:
    """Return pictures of many shapes: small, wide, and so tall that Pillow begins with the height."""
    folder.mkdir()
    sources = [
        *sorted((category / "test" / "cut").iterdir()),
        *sorted((category / "test" / "good").iterdir()),
    ]
    sizes = ((32, 32), (64, 48), (131, 77), (40, 200), (300, 20), (17, 11), (1, 1))
    made = []
    for source, size in zip(sources, sizes, strict=False):
        path = folder / f"{size[0]}x{size[1]}{'.jpg' if size[0] % 2 else '.png'}"
        with Image.open(source) as image:
            image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path)
        made.append(path)
    return tuple(made)


@pytest.fixture
def adctl(placed: Placed, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(arguments)
        return (int(code), *capsys.readouterr())

    with session.lend(placed.bench.client):
        yield call


def scored_alone(kind: str, file: Path, pictures: tuple[Path, ...], tmp_path: Path) -> Any:
    """Run a file in a process that has nothing but numpy, Pillow and the runtime."""
    site = tmp_path / "alone"
    site.mkdir()
    for name in ALONE[kind]:
        for root in map(Path, sys.path):
            if (root / name).exists() and root.name in ("site-packages", "extra"):
                (site / name).symlink_to(root / name)
                break
    asked = [sys.executable, "-I", "-S", "-c", CHILD, str(site), str(file), *map(str, pictures)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_as_the_platform(
    found: list[Any], model: fitted.Fitted, pictures: tuple[Path, ...], threshold: float
) -> None:
    import torch

    from ad_detectors.data import decoding

    detector = load_model(model.model)
    pixels = [decoding.picture(path, 32) for path in pictures]
    expected = detector.score(torch.from_numpy(np.stack(pixels))).images.tolist()
    allowed = TOLERANCE * max(expected)
    for path, (score, anomalous, shape, _, among_others), wanted in zip(
        pictures, found, expected, strict=True
    ):
        with Image.open(path) as image:
            assert shape == [image.height, image.width]
        assert abs(score - wanted) <= allowed, path.name
        assert abs(score - among_others) <= allowed, path.name
        if abs(wanted - threshold) > allowed:
            assert anomalous == (wanted > threshold), path.name


def test_a_champion_becomes_a_file_that_scores_as_it_does_without_torch_or_adctl(
    adctl: Callable[..., Any], placed: Placed, tmp_path: Path
) -> None:
    target = tmp_path / "screw.onnx"
    code, out, err = adctl("export", fitted.MODEL, "--out", str(target), "--json")

    assert code == 0, err
    told = json.loads(out)
    alone = scored_alone("onnx", target, placed.pictures, tmp_path)
    point = placed.mean.result["operating_point"]
    threshold = point["threshold"]  # type: ignore[index,call-overload]
    assert_as_the_platform(alone["found"], placed.mean, placed.pictures, threshold)
    assert told["files"] == [str(target)]
    assert told["parity"]["pictures"] == 13
    assert told["parity"]["decisions"] == 0
    assert 0 <= told["parity"]["score"] <= TOLERANCE
    about = {name.removeprefix("adctl."): text for name, text in alone["about"].items()}
    assert about == told["about"]
    assert (about["job"], about["alias"], about["revision"]) == (placed.job, "champion", "1")
    assert float(about["threshold"]) == threshold
    assert float(about["false_alarm_rate"]) == point["rate"]  # type: ignore[index,call-overload]
    assert len(about["weights_sha256"]) == 64
    assert "licence" in about

    before = target.read_bytes()
    assert str(tmp_path).encode() not in before
    code, _, err = adctl("export", fitted.MODEL, "--out", str(target))
    assert code == 2
    assert "--force" in err
    assert target.read_bytes() == before


def test_patchcore_with_the_published_score_becomes_openvino_files_and_scores_alike(
    adctl: Callable[..., Any], placed: Placed, tmp_path: Path
) -> None:
    target = tmp_path / "patches.xml"
    model, cut = str(placed.patches.model), str(placed.mean.category / "test" / "cut")
    code, _, err = adctl(
        "export", model, "--format", "openvino", "-o", str(target), "--threshold", "2.5", "--check", cut
    )

    assert code == 0, err
    assert "compared on 4 images" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patches.bin", "patches.xml"]
    alone = scored_alone("openvino", target, placed.pictures, tmp_path)
    assert_as_the_platform(alone["found"], placed.patches, placed.pictures, 2.5)
    assert placed.job not in target.read_text()
    assert 'value="patchcore"' in target.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "openvino"])
@pytest.mark.parametrize("which", ["mean", "patches"])
def test_every_kind_of_file_of_every_detector(
    adctl: Callable[..., Any], placed: Placed, tmp_path: Path, which: str, kind: str
) -> None:
    model: fitted.Fitted = getattr(placed, which)
    target = tmp_path / f"model{'.onnx' if kind == 'onnx' else '.xml'}"
    code, _, err = adctl(
        "export", str(model.model), "--format", kind, "--out", str(target), "--threshold", "2.5"
    )
    assert code == 0, err
    alone = scored_alone(kind, target, placed.pictures, tmp_path)
    assert_as_the_platform(alone["found"], model, placed.pictures, 2.5)


def test_a_model_without_a_threshold_asks_for_one(
    adctl: Callable[..., Any], placed: Placed, tmp_path: Path
) -> None:
    code, _, err = adctl("export", str(placed.patches.model), "--out", str(tmp_path / "a.onnx"))

    assert code == 2
    assert "--threshold" in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_scores_come_out_others_is_not_left_behind(
    adctl: Callable[..., Any], placed: Placed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ad_detectors.exporting import onnx_file

    def wrong(images: Any) -> Any:
        count, height, width, _ = images.shape
        return np.full(count, 9.0, np.float32), np.ones(count, bool), np.zeros((count, height, width), "f4")

    monkeypatch.setattr(onnx_file, "onnx_file", lambda *_, **__: b"as if")
    monkeypatch.setattr(onnx_file, "runner", lambda _: wrong)
    code, _, err = adctl("export", fitted.MODEL, "--out", str(tmp_path / "a.onnx"))

    assert code == 7
    assert "nothing was written" in err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    from ad_detectors.errors import NoRoom
    from ad_detectors.exporting.placing import place

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoom, match="make room"):
        place({tmp_path / "a.bin": b"1", tmp_path / "a.xml": b"2"})
    assert list(tmp_path.iterdir()) == []
