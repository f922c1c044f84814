"""Rebuilding by a ready model: its file, its reconstructions, its table and pictures."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ad_detectors import registry
from ad_detectors.__main__ import main
from ad_detectors.config import build
from ad_detectors.diffusion import importing
from ad_detectors.errors import ConfigError, StateError, WeightsNotFound
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import build_unet
from ad_detectors.testing.pictures import MemoryImages, pictures
from ad_detectors.zoo.guided_ddm import rebuilding
from ad_detectors.zoo.guided_ddm.config import Config
from ad_detectors.zoo.guided_ddm.detector import GuidedDDM, shape_of

CPU = torch.device("cpu")
SMALL = {
    "image_size": 32,
    "base_channels": 32,
    "multipliers": [1, 1],
    "residual_blocks": 1,
    "attention": [],
    "head_channels": 32,
    "noise_step": 20,
    "calls": 2,
    "repeats": 3,
}


def config(**settings: object) -> Config:
    built = build(Config, {**SMALL, **settings})
    assert isinstance(built, Config)
    return built


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file in the names of guided-diffusion, of a network of the same class."""
    net = build_unet(shape_of(config()), 1)
    with torch.no_grad():
        net.out[2].weight.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(2))
    path = tmp_path / "small_diffusion.pt"
    torch.save(unet_keys.renamed(net.state_dict(), "guided"), path)
    return path


def fitted(settings: Config) -> GuidedDDM:
    detector = GuidedDDM(settings)
    run_fit(detector, MemoryImages(pictures(3, 32)), ContextCore(detector, CPU, 3))
    return detector


def test_the_published_preset_is_the_published_network() -> None:
    known = registry.describe("guided_ddm")
    built = build(known.config, registry.resolve("guided_ddm", "paper", {}))
    with torch.device("meta"):
        from ad_detectors.nets.unet import UNet

        net = UNet(shape_of(built))
    assert sum(each.numel() for each in net.parameters()) == 552_814_086


def test_a_fit_loads_the_file_reports_once_and_learns_nothing(file: Path) -> None:
    detector = fitted(config(weights=str(file)))
    state = detector.state()
    ours = {key.removeprefix("denoiser/net/"): each for key, each in state.items() if "/net/" in key}
    named = {unet_keys.to_style(name, "guided"): each for name, each in ours.items()}
    for name, tensor in importing.read(file).items():
        assert torch.equal(named[name], tensor), name  # type: ignore[arg-type]
    restored = GuidedDDM(config(weights="gone.pt"))
    restored.restore(state)
    images = pictures(2, 32, seed=5)
    assert torch.equal(restored.score(images).images, detector.score(images).images)


def test_weights_are_found_in_the_folder_or_missed_with_advice(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADCTL_WEIGHTS", str(file.parent))
    fitted(config(weights=file.name))
    with pytest.raises(WeightsNotFound, match=r"no weights 'else\.pt' .* ADCTL_WEIGHTS; it can be had from"):
        fitted(config(weights="else.pt"))


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.pt"
    path.write_text("no tensors")
    with pytest.raises(StateError, match=r"words\.pt cannot be read as tensors"):
        fitted(config(weights=str(path)))
    torch.save([torch.zeros(1)], path)
    with pytest.raises(StateError, match="holds no state dict"):
        fitted(config(weights=str(path)))


def test_random_weights_are_not_taken_in_silence() -> None:
    with pytest.raises(ConfigError, match="untrained network: give steps to train it"):
        config(weights="none")


def test_an_image_is_stretched_to_all_values_and_a_flat_one_left() -> None:
    images = torch.stack([torch.linspace(-0.5, 0.1, 48).view(3, 4, 4), torch.full((3, 4, 4), 0.3)])
    wide, flat = rebuilding.stretched(images, True)
    assert (float(wide.min()), float(wide.max())) == (-1.0, 1.0)
    assert torch.equal(flat, images[1])
    assert torch.equal(rebuilding.stretched(images, False), images)


@pytest.mark.parametrize("settings", [{}, {"calls": 0}, {"calls": 0, "compat": True}, {"sampler": "ddim"}])
def test_reconstructions_do_not_depend_on_how_many_are_made_together(settings: dict[str, object]) -> None:
    image = torch.rand(3, 32, 32) * 2 - 1
    seen: list[int] = []

    def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append(int(t.max()))
        return torch.cat([0.1 * x, 0.5 * x.cos()], dim=1)

    made = [
        rebuilding.rebuilt(predict, image, torch.Generator().manual_seed(1), config(**settings), together)
        for together in (3, 2)
    ]
    assert made[0].shape == (3, 3, 32, 32)
    assert torch.equal(*made)
    assert not torch.equal(made[0][0], made[0][1])
    assert max(seen) < 22


def test_the_error_is_summed_over_colours_in_a_window_that_keeps_the_mean() -> None:
    image, rebuilt = torch.zeros(3, 16, 16), torch.zeros(2, 3, 16, 16)
    rebuilt[0, :, 8, 8] = 1.0
    found = rebuilding.error(image, rebuilt, config())
    assert float(found.sum()) == pytest.approx(1.5)
    assert float(found.max()) == float(found[8, 8])
    plain = rebuilding.error(image, rebuilt, config(kernel_size=1))
    assert float(plain[8, 8]) == 1.5


def category(root: Path, name: str) -> Path:
    folder = root / name
    for part, count, seed in (("train/good", 3, 0), ("test/good", 2, 1), ("test/cut", 2, 2)):
        (folder / part).mkdir(parents=True)
        for index, each in enumerate(pictures(count, 32, seed=seed)):
            if part == "test/cut":
                each[:, 4:12, 4:12] = 255
            Image.fromarray(each.permute(1, 2, 0).numpy()).save(folder / part / f"{index:03d}.png")
    (folder / "ground_truth" / "cut").mkdir(parents=True)
    for index in range(2):
        mask = Image.new("L", (32, 32))
        mask.paste(255, (4, 4, 12, 12))
        mask.save(folder / "ground_truth" / "cut" / f"{index:03d}_mask.png")
    return folder


def test_the_command_writes_the_table_and_the_pictures(file: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "output"
    for name in ("screw", "wood", "bottle"):
        category(root, name)
    settings = [f"-S{name}={json.dumps(value)}" for name, value in SMALL.items()]
    command = ["guided-ddm", "--out", str(out), "--device", "cpu", f"-Sweights={file}", *settings]
    assert main([*command, "--data", str(root)]) == 0
    with (out / "results.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["category", "category_type", "img_auc", "pixel_auc"]
    assert [(row["category"], row["category_type"]) for row in rows] == [
        ("bottle", "object"),
        ("screw", "object"),
        ("wood", "texture"),
    ]
    assert all(0.0 <= float(row["img_auc"]) <= 1.0 and 0.0 <= float(row["pixel_auc"]) <= 1.0 for row in rows)
    sample = out / "wood" / "lightning_logs" / "version_0" / "sample"
    found = sorted(path.name for path in sample.iterdir())
    assert len(found) == 16
    assert sum(name.endswith("_amap_on_img.jpg") and name.startswith("wood_cut_score") for name in found) == 2
    before = (out / "results.csv").read_text()
    assert main([*command, "--data", str(root / "wood")]) == 0
    assert (out / "wood" / "lightning_logs" / "version_1").is_dir()
    assert main([*command, "--data", str(root), "--keep"]) == 0
    assert not (out / "bottle" / "lightning_logs" / "version_1").exists()
    assert (out / "results.csv").read_text() == before
