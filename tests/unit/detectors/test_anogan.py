"""AnoGAN finds what its generator can draw, each image by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ad_detectors.config import build
from ad_detectors.errors import NotExportable
from ad_detectors.testing import Subject, pictures
from ad_detectors.zoo.anogan import training
from ad_detectors.zoo.anogan.config import PRESETS, Config
from ad_detectors.zoo.anogan.networks import Discriminator, Generator
from ad_detectors.zoo.anogan.searching import Drawer, Drawing

COUNT = 5


@pytest.fixture(scope="module")
def drawer() -> Drawer:
    config = build(Config, {**PRESETS["tiny"], "search_steps": 80, "weight": 0.1})
    learner = training.adversaries(config, 3)
    generator, discriminator = learner.nets[training.GENERATOR], learner.nets[training.DISCRIMINATOR]
    # As initialised it draws all but grey pictures, among which nothing is to be found.
    with torch.no_grad():
        for each in generator.parameters():
            each.mul_(4.0 if each.dim() > 1 else 1.0)
    learner.finish()
    assert isinstance(generator, Generator)
    assert isinstance(discriminator, Discriminator)
    return Drawer(generator, discriminator, config)


def z(seed: int, drawer: Drawer) -> Tensor:
    return torch.randn(COUNT, drawer.config.z_size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def drawn(drawer: Drawer) -> Tensor:
    with torch.no_grad():
        return drawer.generator(z(1, drawer))


@pytest.fixture(scope="module")
def found(drawer: Drawer, drawn: Tensor) -> Drawing:
    return drawer.searched(drawn, z(2, drawer))


def test_a_search_halves_the_loss_of_what_can_be_drawn(drawer: Drawer, drawn: Tensor, found: Drawing) -> None:
    with torch.no_grad():
        start = drawer.drawing(z(2, drawer), drawn, drawer.features(drawn))
    assert float(found.loss.mean()) < 0.5 * float(start.loss.mean())


def test_searched_together_images_find_what_they_find_alone(
    drawer: Drawer, drawn: Tensor, found: Drawing
) -> None:
    for index in (0, COUNT - 1):
        alone = drawer.searched(drawn[index : index + 1], z(2, drawer)[index : index + 1])
        assert float((alone.loss - found.loss[index]).abs()) < 1e-4


def test_noise_is_farther_from_all_drawings_than_drawings_are(
    drawer: Drawer, drawn: Tensor, found: Drawing
) -> None:
    noise = torch.rand(drawn.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1
    assert float(drawer.searched(noise, z(2, drawer)).loss.min()) > float(found.loss.max())


def test_the_best_step_and_the_best_restart_count(drawer: Drawer, drawn: Tensor, found: Drawing) -> None:
    hasty = Drawer(drawer.generator, drawer.discriminator, replace(drawer.config, search_lr=1.0))
    last = Drawer(drawer.generator, drawer.discriminator, replace(hasty.config, keep="last"))
    start = z(2, drawer)
    assert bool((hasty.searched(drawn, start).loss <= last.searched(drawn, start).loss).all())
    both = drawer.best_of(drawn, torch.stack([start, z(9, drawer)]))
    assert bool((both.loss <= found.loss).all())


def test_an_encoder_guesses_the_drawing_in_one_call() -> None:
    subject = Subject.of("anogan", quick={"search": "encoder", "encoder_steps": 60, "steps": 60})
    straight = subject.straight
    assert {key.split("/")[0] for key in straight.detector.state()} == {"generator", "encoder", "score"}
    assert max(straight.digests) == 120
    images = pictures(3, 32, seed=4)
    rebuilt = straight.detector.reconstruct(images)
    assert rebuilt is not None
    apart = (rebuilt.float() - images.float()).abs().mean()
    grey = (images.float().mean((0, 2, 3), keepdim=True) - images.float()).abs().mean()
    assert float(apart) < float(grey), "a guess is to be nearer than one colour"
    again = subject.restored(straight.detector.state())
    assert torch.equal(again.score(images).images, straight.detector.score(images).images)


def test_it_says_why_it_cannot_be_exported() -> None:
    with pytest.raises(NotExportable, match="step by step"):
        Subject.of("anogan").new().export_module()
