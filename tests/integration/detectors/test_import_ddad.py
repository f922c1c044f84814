"""Importing checkpoints of the published DDAD code: what is read, what comes of it, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ad_detectors.__main__ import main
from ad_detectors.backbones import features
from ad_detectors.checkpoint import load_model
from ad_detectors.nets.unet import UNetShape, build_unet
from ad_detectors.testing import pictures

SHAPE = UNetShape(image_size=32, base_channels=32, heads=2)
SETTINGS = [
    *("-S", "image_size=32", "-S", "backbone=resnet18", "-S", "feature_strides=4,8", "-S", "noise_step=20"),
    *("-S", "skip=20", "-S", "scale_images=2", "-S", "blur_sigma=0.5", "-S", "adapt_epochs=0"),
]


def wrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as the published code saves them: of a network over several devices, without an ending."""
    import timm

    folder = tmp_path_factory.mktemp("screw")
    torch.manual_seed(0)
    torch.save(wrapped(dict(build_unet(SHAPE, 3).state_dict())), folder / "2000")
    torch.save(wrapped(dict(timm.create_model("resnet18", pretrained=False).state_dict())), folder / "feat4")
    return folder


@pytest.fixture(scope="module")
def category(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "screw"
    (folder / "train" / "good").mkdir(parents=True)
    for index, pixels in enumerate(pictures(3, 32)):
        picture = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
        picture.save(folder / "train" / "good" / f"{index}.png")
    return folder


def imported(published: Path, out: Path, *more: str) -> int:
    return main(["import-ddad", "--unet", str(published / "2000"), "--out", str(out), *SETTINGS, *more])


def test_published_files_become_a_detector_with_their_weights_that_scores(
    published: Path, category: Path, tmp_path: Path
) -> None:
    more = ("--features", str(published / "feat4"), "--data", str(category))
    assert imported(published, tmp_path, *more) == 0
    detector = load_model(tmp_path)
    state = detector.state()
    unet = torch.load(published / "2000", weights_only=True)
    assert all(torch.equal(state[f"denoiser/net/{k.removeprefix('module.')}"], v) for k, v in unet.items())
    adapted = torch.load(published / "feat4", weights_only=True)
    assert torch.equal(
        state["features/net/model.layer2.1.conv2.weight"], adapted["module.layer2.1.conv2.weight"]
    )
    assert not [key for key in state if "layer3" in key or "fc" in key]
    assert (detector.config.base_channels, detector.config.heads) == (32, 2)
    scores = detector.score(pictures(2, 32)).images
    assert bool(torch.isfinite(scores).all())


def test_published_scoring_needs_no_images_to_scale_by(published: Path, tmp_path: Path) -> None:
    more = ("--features", str(published / "feat4"), "-S", "compat=true", "-S", "compat_batch=3")
    assert imported(published, tmp_path, *more) == 0
    detector = load_model(tmp_path)
    assert detector.batch == 3
    images = pictures(4, 32)
    together, apart = detector.score(images[:2]).images, detector.score(images[:1]).images
    assert not torch.equal(together[:1], apart)  # that is what compat means
    in_two = torch.cat([detector.score(images[:3]).images, detector.score(images[3:]).images])
    assert torch.equal(detector.score(images).images, in_two)


def test_without_images_or_compat_it_says_what_is_missing(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(published, tmp_path, "--features", str(published / "feat4")) == 2
    assert "name them by --data, or set -S compat=true" in capsys.readouterr().err


def _other_width(unet: dict[str, Any]) -> dict[str, Any]:
    return {**unet, "module.down.1.0.in_layers.2.weight": torch.zeros(64, 32, 3, 3)}


def _shorter(unet: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in unet.items() if "up.0.0" not in name}


def _longer(unet: dict[str, Any]) -> dict[str, Any]:
    return {**unet, "module.down.99.weight": torch.zeros(1)}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_other_width, "down.1.0.in_layers.2.weight is (64, 32, 3, 3), this config's (32, 32, 3, 3)"),
        (_shorter, "lacks tensor up.0.0"),
        (_longer, "a tensor down.99.weight too many"),
        (lambda unet: {"module.fc.weight": torch.zeros(1)}, "no published U-Net"),
        (lambda unet: {"model": unet, "epoch": 3}, "holds no state dict of tensors"),
        (lambda unet: [1, 2], "holds no state dict of tensors"),
    ],
)
def test_a_file_that_is_not_the_u_net_of_the_config_is_named(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, complaint: str
) -> None:
    torch.save(spoil(torch.load(published / "2000", weights_only=True)), tmp_path / "2000")
    assert imported(tmp_path, tmp_path / "out", "-S", "compat=true") == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


class Payload:
    """Would be made anew by unpickling."""


def test_objects_are_never_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"module.x": Payload()}, tmp_path / "2000")
    assert imported(tmp_path, tmp_path / "out") == 2
    assert "cannot be read as tensors" in capsys.readouterr().err
    (tmp_path / "2000").write_bytes(b"not a checkpoint")
    assert imported(tmp_path, tmp_path / "out") == 2
    assert "cannot be read as tensors" in capsys.readouterr().err
    assert imported(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "there is no file" in capsys.readouterr().err


def test_features_of_another_backbone_are_refused_by_the_first_tensor_that_does_not_fit(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--features", str(published / "feat4"), "-S", "compat=true", "-S", "backbone=resnet50")
    assert imported(published, tmp_path, *more) == 2
    said = capsys.readouterr().err
    assert "not of 'resnet50': tensor layer1.0.conv1.weight is (64, 64, 3, 3), not (64, 64, 1, 1)" in said


def test_features_are_scaled_as_the_backbone_was_trained() -> None:
    import timm

    tensors = dict(timm.create_model("resnet18", pretrained=False).state_dict())
    extractor = features.with_weights("resnet18", (8, 16), tensors)
    assert extractor.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert [layer.stride for layer in extractor.layers] == [8, 16]


def test_the_command_is_offered_without_torch() -> None:
    import subprocess

    code = (
        "import sys; from ad_detectors.__main__ import _parser;"
        "assert 'import-ddad' in _parser().format_help(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
