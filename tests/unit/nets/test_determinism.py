"""What the seeds promise: the same for the same names, and nothing to remember between steps."""

import threading
import time
from collections import Counter
from threading import Barrier

import pytest
import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.nets.unet import UNetShape, build_unet


def test_a_derived_seed_never_changes_between_versions() -> None:
    assert determinism.derive(0) == 7520536977032167579
    assert determinism.derive(42, "noise", 7) == 377461532725720072


def test_names_make_seeds_that_differ_from_each_other() -> None:
    seeds = [determinism.derive(seed, name, n) for seed in range(5) for name in "ab" for n in range(20)]
    assert len(set(seeds)) == len(seeds)
    assert determinism.derive(1, "a", "b") != determinism.derive(1, "ab")
    assert determinism.derive(1, 2) != determinism.derive(1, "2")
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_an_images_noise_follows_its_pixels_whatever_their_place_in_memory() -> None:
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    alone = images[2].clone()
    strided = images.permute(1, 0, 2, 3).contiguous().permute(1, 0, 2, 3)[2]
    draws = [torch.randn(5, generator=determinism.image_generator(9, image)) for image in (alone, strided)]
    assert torch.equal(*draws)
    alone[0, 0, 0] ^= 1
    assert not torch.equal(draws[0], torch.randn(5, generator=determinism.image_generator(9, alone)))


def test_only_uint8_pixels_name_an_image() -> None:
    with pytest.raises(TypeError, match="uint8"):
        determinism.image_generator(1, torch.zeros(3, 4, 4))


@pytest.mark.parametrize(("batch", "count"), [(4, 10), (3, 3), (8, 3), (1, 5), (7, 2)])
def test_every_image_comes_once_per_epoch_and_every_batch_is_whole(batch: int, count: int) -> None:
    steps = [determinism.step_indices(5, step, batch, count) for step in range(3 * count)]
    assert all(len(indices) == batch for indices in steps)
    flat = [index for indices in steps for index in indices]
    for start in range(0, len(flat), count):
        assert Counter(flat[start : start + count]) == Counter(range(count))


def test_epochs_are_shuffled_differently() -> None:
    assert determinism.epoch_order(5, 0, 50) != determinism.epoch_order(5, 1, 50)
    assert determinism.epoch_order(5, 0, 50) != determinism.epoch_order(6, 0, 50)


def test_a_steps_dropout_needs_only_its_number() -> None:
    determinism.step_seed(3, 10)
    first = torch.nn.functional.dropout(torch.ones(100), 0.5)
    torch.rand(17)
    determinism.step_seed(3, 10)
    assert torch.equal(torch.nn.functional.dropout(torch.ones(100), 0.5), first)


def test_a_microbatch_always_has_the_same_size_and_results_come_back_in_order() -> None:
    seen = []

    def fn(images: Tensor) -> tuple[Tensor, ...]:
        seen.append(len(images))
        return images.sum(dim=1), images * 2

    images = torch.arange(26.0).reshape(13, 2)
    sums, doubled = determinism.microbatched(fn, images, size=4)
    assert seen == [4, 4, 4, 4]
    assert torch.equal(sums, images.sum(dim=1))
    assert torch.equal(doubled, images * 2)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        determinism.microbatched(lambda images: (images,), torch.zeros(0, 3, 4, 4))


def test_a_networks_result_for_an_image_is_the_same_alone_permuted_and_batched() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.GroupNorm(32, 32), torch.nn.Conv2d(32, 3, 3, padding=1)
    )
    images = torch.randn(11, 3, 16, 16)
    order = torch.randperm(11)

    def fn(batch: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (net(batch),)

    (together,) = determinism.microbatched(fn, images)
    (permuted,) = determinism.microbatched(fn, images[order])
    assert torch.equal(together[order], permuted)
    for i in range(11):
        assert torch.equal(determinism.microbatched(fn, images[i : i + 1])[0][0], together[i])


def test_halves_abreast_have_threads_of_their_own_and_what_was_said_of_gradients() -> None:
    met: dict[int, tuple[int, int, bool]] = {}
    both = Barrier(2, timeout=60)

    def fn(images: Tensor) -> tuple[Tensor, ...]:
        met[threading.get_ident()] = len(images), torch.get_num_threads(), torch.is_grad_enabled()
        both.wait()  # breaks unless another half is under way
        return (images * 2,)

    images = torch.arange(16.0).reshape(16, 1)
    with determinism.using_threads(2), torch.no_grad():
        (doubled,) = determinism.microbatched(fn, images, abreast=True)
        assert torch.get_num_threads() == 2
    assert torch.equal(doubled, images * 2)
    assert [*met.values()] == [(4, 1, False)] * 2
    assert threading.get_ident() not in met


@pytest.mark.parametrize(("divisor", "size"), [(1, 4), (2, 4), (4, 2), (8, 1)])
def test_abreast_no_more_pictures_are_under_way_than_one_batch_holds(divisor: int, size: int) -> None:
    under_way, most, one = 0, 0, threading.Lock()

    def fn(images: Tensor) -> tuple[Tensor, ...]:
        nonlocal under_way, most
        with one:
            under_way += len(images)
            most = max(most, under_way)
        assert len(images) == size
        time.sleep(0.01)
        with one:
            under_way -= len(images)
        return (images,)

    with determinism.using_threads(2):
        determinism.microbatched(fn, torch.zeros(16, 1), divisor=divisor, abreast=True)
    assert most <= 8 // divisor


def test_an_error_of_one_half_is_raised_and_threads_are_given_back() -> None:
    def fn(images: Tensor) -> tuple[Tensor, ...]:
        if images[0, 0] == 4:
            raise RuntimeError("the second half")
        return (images,)

    with determinism.using_threads(2):
        with pytest.raises(RuntimeError, match="the second half"):
            determinism.microbatched(fn, torch.arange(8.0).reshape(8, 1), abreast=True)
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_abreast_a_networks_result_is_the_same_alone_permuted_and_batched(threads: int) -> None:
    shape = UNetShape(image_size=32, base_channels=32, heads=2, attention_divisors=(32, 16))
    net = build_unet(shape, seed=0).eval()
    images, order = torch.randn(11, 3, 32, 32), torch.randperm(11)

    def fn(batch: Tensor) -> tuple[Tensor, ...]:
        return (net(batch, torch.full((len(batch),), 90)),)

    with determinism.using_threads(threads), torch.no_grad():
        (together,) = determinism.microbatched(fn, images, abreast=True)
        (permuted,) = determinism.microbatched(fn, images[order], abreast=True)
        alone = [determinism.microbatched(fn, images[i : i + 1], abreast=True)[0][0] for i in range(11)]
    assert torch.equal(together[order], permuted)
    assert torch.equal(torch.stack(alone), together)


def test_abreast_bits_are_the_same_on_one_thread_two_and_three() -> None:
    net = build_unet(UNetShape(image_size=32, base_channels=32, heads=2), seed=0).eval()
    images = torch.randn(8, 3, 32, 32)

    def fn(batch: Tensor) -> tuple[Tensor, ...]:
        return (net(batch, torch.full((len(batch),), 90)),)

    found = []
    for threads in (1, 2, 3):
        with determinism.using_threads(threads), torch.no_grad():
            found += determinism.microbatched(fn, images, abreast=True)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
