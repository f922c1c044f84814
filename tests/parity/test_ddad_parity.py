"""DDAD computes what its published code computes, to five digits: against a recording of `record_ddad.py`."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ddad_parity_cases as cases
from ad_detectors.backbones import features
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, reconstruct
from ad_detectors.diffusion.training import loss_at
from ad_detectors.nets.unet import UNet, UNetShape, build_unet
from ad_detectors.zoo.ddad.adaptation import adaptation_loss
from ad_detectors.zoo.ddad.scoring import batch_weight, published_maps

PRECISION = 1e-5  # of the greatest of the values that are compared


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor) -> None:
    theirs, found = recorded[name], cases.summary(ours)
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= PRECISION, f"{name} differs by {apart:.2g} of its greatest value"


def network(name: str) -> UNet:
    size, base, heads, dropout, _ = cases.UNETS[name]
    net = build_unet(UNetShape(image_size=size, base_channels=base, heads=heads, dropout=dropout), 0)
    net.load_state_dict(cases.weights(net.state_dict(), name))
    return net.eval()


def norms(net: nn.Module) -> Tensor:
    found = {name: each.grad.norm() for name, each in net.named_parameters() if each.grad is not None}
    return torch.stack([found[name] for name in sorted(found)])


@pytest.mark.parametrize("name", list(cases.UNETS))
def test_the_network_computes_as_published(recorded: dict[str, np.ndarray], name: str) -> None:
    size, _, _, _, count = cases.UNETS[name]
    x, t = cases.normal(f"{name}/x", (count, 3, size, size)), torch.tensor(cases.TIMES[:count])
    with torch.no_grad():
        assert_near(recorded, name, network(name)(x, t))


def test_every_step_of_a_reconstruction_is_as_published(recorded: dict[str, np.ndarray]) -> None:
    net, seen = network(cases.SMALL), []
    source, target = cases.images("source", 2, 64), cases.images("target", 2, 64)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        seen.append(x)
        return net(x, t)

    noise = cases.noise_of("trajectory", source.shape)
    with torch.no_grad():
        rebuilt = reconstruct(
            predict, source, target, schedule.linear(), Trajectory(**cases.TRAJECTORY), noise
        )
    assert len(seen) == 10
    for number, x in enumerate([*seen, rebuilt]):
        assert_near(recorded, f"x-{number}", x)


def test_the_training_loss_and_its_gradients_are_as_published(recorded: dict[str, np.ndarray]) -> None:
    net = network(cases.SMALL)
    pictures = cases.images("training", 2, 64)
    noise = cases.noise_of("training", pictures.shape)()
    loss = loss_at(net, pictures, schedule.linear(), torch.tensor(cases.TIMES), noise)
    loss.backward()
    assert_near(recorded, "training-loss", loss.detach()[None])
    assert_near(recorded, "training-gradients", norms(net))


def backbone(tensors: dict[str, Tensor]) -> FeatureExtractor:
    extractor = features.empty(cases.BACKBONE, cases.STRIDES)
    kept = {f"model.{name}": tensor for name, tensor in tensors.items()}
    mean, std = (
        torch.tensor(numbers)[:, None, None] for numbers in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    extractor.load_state_dict({**kept, "mean": mean, "std": std})
    return extractor


@pytest.fixture(scope="module")
def backbones() -> tuple[FeatureExtractor, FeatureExtractor]:
    own = features.empty(cases.BACKBONE, cases.STRIDES).state_dict()
    like = {name.removeprefix("model."): tensor for name, tensor in own.items() if name.startswith("model.")}
    frozen = cases.weights(like, "frozen")
    return backbone(cases.perturbed(frozen, "adapted")), backbone(frozen)


def test_the_adaptation_loss_its_gradients_and_statistics_are_as_published(
    recorded: dict[str, np.ndarray], backbones: tuple[FeatureExtractor, FeatureExtractor]
) -> None:
    # In single precision the gradients of the first layers hang on which activations round to zero.
    adapted, frozen = (copy.deepcopy(each).double() for each in backbones)
    adapted.thaw()
    rebuilt, target = (cases.images(name, 4, 64).double() for name in ("rebuilt", "target"))
    loss = adaptation_loss(adapted, frozen, rebuilt, target, cases.STRIDES, cases.LAMBDA)
    loss.backward()
    assert_near(recorded, "adaptation-loss", loss.detach()[None])
    assert_near(recorded, "adaptation-gradients", norms(adapted))
    state = adapted.state_dict()
    assert_near(recorded, "adaptation-means", state["model.layer3.5.bn3.running_mean"])
    assert_near(recorded, "adaptation-variances", state["model.layer1.0.bn1.running_var"])


def test_maps_and_scores_of_a_batch_are_as_published(
    recorded: dict[str, np.ndarray], backbones: tuple[FeatureExtractor, FeatureExtractor]
) -> None:
    adapted, _ = backbones
    shown, rebuilt = cases.images("shown", 3, cases.SIZE), cases.images("rebuilt", 3, cases.SIZE)
    with torch.no_grad():
        pixel = pixel_distance(shown, rebuilt)
        feature = feature_distance(adapted, shown, rebuilt, cases.MAP_STRIDES)
        weight = cases.V * batch_weight(pixel, feature)
        scores, maps = published_maps(pixel, feature, weight, 4.0)
    assert_near(recorded, "pixel-distance", pixel)
    assert_near(recorded, "feature-distance", feature)
    assert_near(recorded, "maps", maps[:, 16:-16, 16:-16])
    assert_near(recorded, "scores", scores)
    border = maps.clone()
    border[:, 16:-16, 16:-16] = 0.0
    assert not border.any()
