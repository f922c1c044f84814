"""Parts of exported graphs: Pillow's resizing to the same bits, and a bank searched for all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ad_detectors.exporting.graph import rounded_down
from ad_detectors.exporting.resizing import PillowResize
from ad_detectors.neighbours import exported
from ad_detectors.neighbours.nearest import Bank

# Heights and widths: smaller, equal, larger, and so tall that Pillow begins with the height.
SIZES = [
    (1, 1),
    (3, 50),
    (32, 32),
    (32, 33),
    (33, 32),
    (40, 31),
    (40, 34),
    (41, 36),
    (77, 131),
    (90, 30),
    (96, 64),
    (97, 64),
    (98, 64),
    (301, 7),
    (7, 301),
    (500, 480),
    (4000, 40),
]


@pytest.mark.parametrize("branching", [True, False], ids=["one order", "both orders"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resizing_gives_pillows_own_bits(size: tuple[int, int], branching: bool) -> None:
    rng = np.random.default_rng(size)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for pixels in (noise, np.full_like(noise, 255), (noise > 127).astype(np.uint8) * 255):
        expected = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
        images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
        found = PillowResize(32, branching=branching)(images)[0].permute(1, 2, 0)
        assert torch.equal(found.to(torch.uint8), torch.from_numpy(expected.copy()))


class Given(nn.Module):
    """Stands for the features: gives the patches that it was made with."""

    def __init__(self, patches: Tensor) -> None:
        super().__init__()
        self.patches = patches

    def embedded(self, images: Tensor) -> Tensor:
        del images
        return self.patches


@pytest.mark.parametrize("neighbours", [1, 3, 99])
def test_the_exported_search_finds_what_the_bank_finds(
    neighbours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported, "BLOCK", 16)  # several of them, the last one short
    random = torch.Generator().manual_seed(1)
    rows = torch.randn(50, 6, generator=random) + 5.0
    patches = torch.randn(3, 4, 4, 6, generator=random) + 5.0
    module = exported.PatchDistances(Given(patches), torch.ones(6), rows, 16, 0.5, neighbours)  # type: ignore[arg-type]

    scores, found = module(torch.zeros(3, 3, 16, 16))

    bank = Bank(rows)
    for patch, score, anomaly_map in zip(patches, scores, found, strict=True):
        queries = patch.flatten(0, 1)
        near = bank.nearest(queries)
        expected = bank.farthest(queries, near, neighbours)
        assert torch.allclose(score, expected, rtol=1e-5)
        assert float(anomaly_map.max()) <= float(near.distances.max()) * (1 + 1e-5)


def test_the_exported_search_can_be_traced_for_any_number_of_images() -> None:
    class Means(nn.Module):
        def embedded(self, images: Tensor) -> Tensor:
            return torch.nn.functional.avg_pool2d(images, 4).permute(0, 2, 3, 1)

    rows = torch.rand(20, 3, generator=torch.Generator().manual_seed(1))
    module = exported.PatchDistances(Means(), torch.ones(3), rows, 16, 0.5, 3)  # type: ignore[arg-type]
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 255.0

    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    traced = torch.export.export(module, (images[:2],), dynamic_shapes=dynamic, strict=False)

    assert torch.allclose(traced.module()(images)[0], module(images)[0])


@pytest.mark.parametrize("threshold", [0.1, 1 / 3, 2.5, 7.446864902973175, -0.3, 1e-40, 16777217.0])
def test_a_float32_score_exceeds_the_kept_threshold_as_it_does_the_calibrated_one(threshold: float) -> None:
    kept = np.float32(rounded_down(threshold))
    near = [kept, np.nextafter(kept, np.float32(np.inf)), np.nextafter(kept, np.float32(-np.inf))]
    for score in near:
        assert bool(score > kept) == (float(score) > threshold)
