"""What PatchCore promises beyond the contract of every detector: its bank, its scores, its restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.backbones import features
from ad_detectors.backbones.patches import PatchFeatures
from ad_detectors.backbones.weights import Places
from ad_detectors.errors import ConfigError, StateError, WeightsNotFound
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import Subject
from ad_detectors.testing.pictures import MemoryImages, pictures, with_defect
from ad_detectors.testing.subject import SEED, Broken, WatchedContext
from ad_detectors.zoo.patchcore import PRESETS, SPACE, Config, PatchCore

TINY = Config(**PRESETS["tiny"])


@pytest.fixture(autouse=True)
def no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADCTL_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, file: None)


def fitted(config: Config = TINY, images: Tensor | None = None) -> PatchCore:
    detector = PatchCore(config)
    shown = pictures(12, config.image_size) if images is None else images
    run_fit(detector, MemoryImages(shown), ContextCore(detector, torch.device("cpu"), SEED))
    return detector


def bank_of(detector: PatchCore) -> Tensor:
    bank = detector.state()["bank/patches"]
    assert isinstance(bank, Tensor)
    return bank


def scales_of(detector: PatchCore) -> Tensor:
    scales = detector.state()["bank/scales"]
    assert isinstance(scales, Tensor)
    return scales


def stopped(at: int, config: Config = TINY) -> Broken:
    return Subject(PatchCore, config, "patchcore").stopped(at)


def test_the_bank_holds_as_many_patches_as_its_share_and_limit_allow() -> None:
    patches = 12 * 8 * 8
    assert len(bank_of(fitted())) == 16
    assert len(bank_of(fitted(replace(TINY, bank_limit=1000)))) == patches // 10
    assert len(bank_of(fitted(replace(TINY, coreset_share=0.0001)))) == 1


def test_layers_may_be_named_as_timm_names_them() -> None:
    extractor = features.load(TINY.backbone, (4, 8), places=Places())
    names = tuple(layer.name for layer in extractor.layers)
    by_name = fitted(replace(TINY, layers=names))
    assert torch.equal(bank_of(by_name), bank_of(fitted()))
    with pytest.raises(ConfigError, match=f"no feature map 'layer9'; it has .*{names[0]}"):
        fitted(replace(TINY, layers=("layer9",)))


def test_the_bank_covers_the_training_patches_better_than_a_random_choice() -> None:
    detector = fitted()
    shown = pictures(12, 32)
    own = detector.score(shown).images.mean()
    extractor = features.load(TINY.backbone, TINY.layers, places=Places())
    every = PatchFeatures(extractor, TINY.grid, 3)(shown).flatten(0, 2) * scales_of(detector)
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(SEED))
    detector.restore({**detector.state(), "bank/patches": every[order[:16]]})
    assert detector.score(shown).images.mean() > own


def test_training_pictures_lie_at_no_distance_from_a_bank_of_all_patches() -> None:
    detector = fitted(replace(TINY, coreset_share=1.0, bank_limit=10_000))
    maps = detector.score(pictures(12, 32)).maps
    assert maps is not None
    assert float(maps.max()) < 1e-4


def test_a_defect_stands_out_where_it_is() -> None:
    clean = pictures(3, 32, seed=9)
    maps = fitted(replace(TINY, bank_limit=200)).score(with_defect(clean)).maps
    assert maps is not None
    assert maps[:, 10:18, 10:18].mean() > 1.5 * maps.mean()


def test_the_weight_of_the_farthest_patch_is_that_of_equation_seven() -> None:
    plain, weighted = (fitted(replace(TINY, image_score="patch", neighbours=b)) for b in (1, 3))
    images = with_defect(pictures(2, 32, seed=9))
    extractor = features.load(TINY.backbone, TINY.layers, places=Places())
    bank = bank_of(plain)
    farthest = plain.score(images).images
    found = weighted.score(images).images
    embedded = PatchFeatures(extractor, TINY.grid, 3)(images).flatten(1, 2) * scales_of(plain)
    for index, patches in enumerate(embedded):
        distances = torch.cdist(patches, bank, compute_mode="donot_use_mm_for_euclid_dist")
        place = int(distances.amin(1).argmax())
        near = int(distances[place].argmin())
        torch.testing.assert_close(farthest[index], distances[place, near], rtol=1e-4, atol=1e-4)
        support = torch.cdist(bank[near][None], bank)[0].topk(3, largest=False).indices
        assert near in support.tolist()
        weight = 1 - distances[place, near].exp() / distances[place, support].exp().sum()
        expected = weight * distances[place, near]
        torch.testing.assert_close(found[index], expected, rtol=1e-3, atol=1e-3)


def test_balanced_maps_vary_equally_over_the_training_patches() -> None:
    extractor = features.load(TINY.backbone, TINY.layers, places=Places())
    every = PatchFeatures(extractor, TINY.grid, 3)(pictures(12, 32)).flatten(0, 2)
    variances = (every * scales_of(fitted(replace(TINY, balance=1.0)))).var(dim=0, correction=0)
    torch.testing.assert_close(variances[:24].sum(), torch.tensor(1.0))
    torch.testing.assert_close(variances[24:].sum(), torch.tensor(1.0))
    assert scales_of(fitted(replace(TINY, balance=0.0))).tolist() == [1.0] * 64


def test_the_score_is_the_maximum_of_the_map_unless_the_patch_is_asked_for() -> None:
    scores = fitted().score(pictures(3, 32, seed=4))
    assert scores.maps is not None
    assert torch.equal(scores.images, scores.maps.amax(dim=(1, 2)))


def test_an_unfinished_fit_keeps_picks_and_distances_but_no_features() -> None:
    while_embedding, while_picking = stopped(1).state, stopped(5).state
    assert set(while_embedding) == {"bank/fitting/embedded", "bank/fitting/weights"}
    assert sum(value.numel() for value in while_picking.values() if isinstance(value, Tensor)) < 12 * 64 + 20


def test_a_fit_begun_with_other_weights_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = stopped(4)
    model, _, _ = features.pretrained(TINY.backbone, Places())
    torch.save(model.state_dict(), tmp_path / f"{TINY.backbone}.pth")  # scaled as timm does
    monkeypatch.setenv("ADCTL_WEIGHTS", str(tmp_path))
    detector = PatchCore(TINY)
    detector.restore(broken.state)
    with pytest.raises(StateError, match="begun with other weights"):
        detector.fit(MemoryImages(pictures(12, 32)), WatchedContext(detector, step=broken.step))


def test_picking_in_a_random_projection_gives_a_bank_of_whole_features() -> None:
    exact, projected = fitted(), fitted(replace(TINY, projection=16))
    assert bank_of(exact).shape == bank_of(projected).shape
    assert not torch.equal(bank_of(exact), bank_of(projected))


def test_weights_that_are_nowhere_stop_a_fit_before_its_first_report() -> None:
    config = Config(**{**PRESETS["paper"], "image_size": 32})
    detector = PatchCore(config)
    context = WatchedContext(detector)
    with pytest.raises(WeightsNotFound, match="wide_resnet50_2"):
        detector.fit(MemoryImages(pictures(3, 32)), context)
    assert context.step == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bank/backbone", "resnet18"),
        ("bank/patches", torch.zeros(3, 7)),
        ("bank/scales", torch.ones(7)),
        ("bank/net/nonsense", torch.zeros(1)),
        ("bank/fitting/embedded", "x"),
        ("other/thing", 1),
    ],
)
def test_a_state_that_does_not_fit_is_refused(key: str, value: object) -> None:
    with pytest.raises(StateError):
        PatchCore(TINY).restore({**fitted().state(), key: value})  # type: ignore[dict-item]


def test_a_blur_wider_than_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"blur_sigma = 9\.0 is too wide"):
        replace(TINY, blur_sigma=9.0)


def test_what_is_searched_exists_and_lies_within_its_range() -> None:
    for field, space in SPACE.items():
        for end in ("low", "high"):
            assert getattr(Config(**{field: space[end]}), field) == space[end]


def test_maps_coarser_and_finer_than_the_grid_are_brought_to_it() -> None:
    extractor = features.load(TINY.backbone, (4, 8, 16), places=Places())
    embedder = PatchFeatures(extractor, 8, 3)
    image = pictures(1, 64)
    fine, equal, coarse = (F.avg_pool2d(each, 3, 1, 1) for each in extractor(image / 255.0))
    grid = embedder(image).permute(0, 3, 1, 2)
    assert grid.shape == (1, embedder.channels, 8, 8)
    torch.testing.assert_close(grid[:, 24:64], equal, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(grid[:, :24], F.avg_pool2d(fine, 2), rtol=1e-4, atol=1e-4)
    corners = coarse[:, :, ::3, ::3]  # they have no neighbours to be mixed with
    torch.testing.assert_close(grid[:, 64:, ::7, ::7], corners, rtol=1e-4, atol=1e-4)
