"""Randomness as a pure function of a seed and names, so that nothing needs to remember a generator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import torch
from torch import Tensor

from ad_detectors.rounding import PictureByPicture

MICROBATCH = 8  # one fixed batch size for scoring: a kernel's rounding may depend on it
HALVES = 2  # of a microbatch, computed at the same time
T = TypeVar("T")
_shared_out = Lock()  # how many threads torch computes on is said for the whole process


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Compute on so many threads for as long as the block lasts: another number gives other last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def derive(seed: int, *names: str | int) -> int:
    """Return a seed of its own for these names, in 0..2**63-1: equal arguments, equal seed."""
    text = json.dumps([seed, *names], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh generator for these names."""
    return torch.Generator(device).manual_seed(derive(seed, *names))


def image_generator(seed: int, image: Tensor) -> torch.Generator:
    """Return a CPU generator that depends on the seed and the pixels of one uint8 image alone."""
    if image.dtype != torch.uint8:
        raise TypeError(f"an image's noise is drawn from its uint8 pixels, not from {image.dtype}")
    pixels = image.detach().cpu().contiguous().numpy().tobytes()
    return generator(seed, "image", hashlib.sha256(pixels).hexdigest())


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """Return the order in which an epoch visits its images."""
    order: list[int] = torch.randperm(count, generator=generator(seed, "order", epoch)).tolist()
    return order


def step_indices(seed: int, step: int, batch_size: int, count: int) -> list[int]:
    """Return which images a training step sees; steps count from 0.

    Epochs follow each other without a gap, so every batch is whole: also the last of an epoch, and also
    when there are fewer images than a batch holds (an image then comes twice, with noise of its own).
    """
    first, end = step * batch_size, (step + 1) * batch_size
    orders = {
        epoch: epoch_order(seed, epoch, count) for epoch in range(first // count, (end - 1) // count + 1)
    }
    return [orders[position // count][position % count] for position in range(first, end)]


def step_seed(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's global generators for one training step of one rank: dropout draws from them."""
    torch.manual_seed(derive(seed, "step", step, *([rank] if rank else [])))


def microbatched(
    fn: Callable[[Tensor], tuple[Tensor, ...]],
    images: Tensor,
    size: int = MICROBATCH,
    divisor: int = 1,
    *,
    abreast: bool = False,
) -> tuple[Tensor, ...]:
    """Apply `fn` to batches of exactly `size` images and return its results for each image.

    With a `divisor` the batches are so much smaller, for want of memory; on a GPU rounding may then differ in
    the last digits. A short batch is filled up by repeating its last image: torch convolves a single small
    image by other code than several. So an image's result is the same to the bit whether it comes alone,
    permuted or among others, as long as `fn` does not mix images.

    With `abreast`, which is for a CPU, two halves of a batch are computed at once by half of the threads
    each, which so wait for each other at the end instead of after every operation. `fn` is then called by
    several threads, and must not write to what they share.
    """
    if len(images) == 0:
        raise ValueError("there are no images in this batch")
    allowed = max(1, size // divisor)
    # For want of memory first one half comes after the other: smaller batches might be rounded otherwise.
    size = min(allowed, max(1, size // HALVES)) if abreast else allowed

    def computed(start: int) -> tuple[Tensor, ...]:
        chunk = images[start : start + size]
        missing = size - len(chunk)
        with PictureByPicture():
            if not missing:
                return fn(chunk)
            filled = torch.cat([chunk, chunk[-1:].expand(missing, *chunk.shape[1:])])
            return tuple(result[: len(chunk)] for result in fn(filled))

    starts = range(0, len(images), size)
    parts = _abreast(computed, starts, allowed // size) if abreast else [computed(start) for start in starts]
    return tuple(torch.cat(results) for results in zip(*parts, strict=True))


def _abreast(computed: Callable[[int], T], starts: Iterable[int], at_most: int) -> list[T]:
    """Compute several at once, each by half of the threads, or one at a time by as many: by the same code."""
    graded = torch.is_grad_enabled()

    def as_here(start: int) -> T:
        with torch.set_grad_enabled(graded):  # which every thread says for itself
            return computed(start)

    with _shared_out:
        every = torch.get_num_threads()
        each = max(1, every // HALVES)
        at_once = every // each if at_most > 1 else 1
        with using_threads(each), ThreadPoolExecutor(at_once, "part", torch.set_num_threads, (each,)) as pool:
            return list(pool.map(as_here, starts))
