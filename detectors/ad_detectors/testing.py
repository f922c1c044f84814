"""The contract every detector keeps, as a test class: point `subject` at a detector and pytest does the rest.

>>> @pytest.fixture(scope="module")
... def subject(): return Subject.of("mine")
>>> class TestMine(DetectorContract): ...
"""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ad_detectors import checkpoint, registry
from ad_detectors.api import Detector, Stage
from ad_detectors.config import build, to_json
from ad_detectors.errors import StateError
from ad_detectors.fitting import ContextCore, run_fit

if TYPE_CHECKING:
    from ad_detectors.api import State

SEED = 3
CHILD_SECONDS = 240
ENOUGH_STEPS = 6


class MemoryImages:
    """Pictures in memory that serve as a split."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels  # (N, 3, H, W) uint8

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]

    @property
    def paths(self) -> list[str]:
        """Return names that sort as the pictures do."""
        return [f"train/good/{index:03d}.png" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices."""
        return self.pixels[list(indices)]


def pictures(count: int, size: int, seed: int = 0) -> Tensor:  # (count, 3, size, size) uint8
    """Return normal pictures: a disc that shifts and shades a little, on a slope, under a little noise."""
    random = torch.Generator().manual_seed(seed)
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    made = []
    for _ in range(count):
        dx, dy, shade = (torch.rand(3, generator=random) - 0.5).tolist()
        disc = torch.sigmoid((0.55 - ((x - 0.1 * dx) ** 2 + (y - 0.1 * dy) ** 2).sqrt()) * size / 2)
        colours = torch.stack([90 + 20 * x + 60 * disc, 80 + 15 * y + 50 * disc, 70 + 80 * disc])
        noise = 3 * torch.randn(colours.shape, generator=random)
        made.append((colours + 20 * shade + noise).clamp(0, 255).to(torch.uint8))
    return torch.stack(made)


def with_defect(images: Tensor) -> Tensor:
    """Return copies with a strong defect: a quarter-wide patch of another colour, off the centre."""
    size = images.shape[-1]
    side, start = max(2, size // 4), size // 3
    spoiled = images.clone()
    patch = torch.tensor([255, 20, 230], dtype=torch.uint8).view(3, 1, 1)
    spoiled[:, :, start : start + side, start : start + side] = patch
    return spoiled


def digest(state: State) -> str:
    """Return a hash of a state that differs if a single bit, type or shape does."""
    whole = hashlib.sha256()
    for key in sorted(state):
        value = state[key]
        if isinstance(value, Tensor):
            whole.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            whole.update(flat.view(torch.uint8).numpy().tobytes())
        else:
            whole.update(f"{key} {type(value).__name__} {value!r}\n".encode())
    return whole.hexdigest()


class Stopped(Exception):
    """Raised out of a report, as a cancelled or drained attempt would be."""


class WatchedContext(ContextCore):
    """Notes the state at every report, keeps stages in a folder, and stops where told to."""

    def __init__(
        self,
        detector: Detector,
        *,
        done: Sequence[str] = (),
        step: int = 0,
        stop_at: int | None = None,
        stages: Path | None = None,
        offered: Sequence[str] = (),
    ) -> None:
        super().__init__(detector, torch.device("cpu"), SEED, done=done, step=step)
        self.stop_at, self.stages, self.offered = stop_at, stages, tuple(offered)
        self.digests: dict[int, str] = {}

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        """Note the state, and stop if this is the step to stop at."""
        self.digests[step] = digest(self.detector.state())
        if step == self.stop_at:
            raise Stopped

    def find_stage(self, stage: str) -> State | None:
        """Return a stage that is on offer."""
        return checkpoint.load(self.stages / stage) if self.stages and stage in self.offered else None

    def store_stage(self, stage: str, state: State) -> None:
        """Keep a stage unless it is one on offer."""
        if self.stages and stage not in self.offered:
            checkpoint.save(state, self.stages / stage)


@dataclass(frozen=True)
class Straight:
    """An undisturbed fit."""

    detector: Detector
    digests: Mapping[int, str]  # of the state at each report
    final: str  # of the state after the fit


class Subject:
    """A detector under test, with a config that fits in seconds and pictures of its size."""

    def __init__(self, kind: type[Detector], config: Any, name: str = "", full: Any = None) -> None:
        self.kind, self.config, self.name = kind, config, name
        self.full = config if full is None else full  # fitted for long enough to be of use

    @classmethod
    def of(cls, name: str, preset: str = "tiny") -> Subject:
        """Return a registered detector with its `tiny` preset, which every detector must have.

        A field `steps` is cut short, but for the one test of what was learned: what holds at every one of a
        few reports holds at many.
        """
        kind = registry.detector_class(name)
        full = registry.resolve(name, preset, {})
        cut = {"steps": min(full["steps"], ENOUGH_STEPS)} if "steps" in full else {}
        return cls(kind, build(kind.Config, full | cut), name, build(kind.Config, full))

    def new(self) -> Detector:
        """Return a detector that knows nothing yet."""
        return self.kind(self.config)

    def restored(self, folder: Path) -> Detector:
        """Return a new detector with a state from disk."""
        detector = self.new()
        detector.restore(checkpoint.load(folder))
        return detector

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages, or the one that stands for none."""
        every = tuple(field.name for field in fields(self.kind.Config))
        return registry.stages_of(self.kind) or (Stage(registry.WHOLE_FIT, every),)

    def train(self) -> MemoryImages:
        """Return normal pictures to learn from."""
        return MemoryImages(pictures(12, self.config.image_size))

    @cached_property
    def straight(self) -> Straight:
        """Fit once without a disturbance; the tests compare with this."""
        detector = self.new()
        context = WatchedContext(detector)
        run_fit(detector, self.train(), context)
        return Straight(detector, context.digests, digest(detector.state()))

    @cached_property
    def taught(self) -> Detector:
        """Return a detector fitted for as long as the preset says."""
        if self.full == self.config:
            return self.straight.detector
        detector = self.kind(self.full)
        run_fit(detector, self.train(), ContextCore(detector, torch.device("cpu"), SEED))
        return detector


class DetectorContract:
    """Promises of `ad_detectors.api.Detector`; a subclass has a fixture `subject`."""

    def test_its_config_survives_json_exactly(self, subject: Subject) -> None:
        flat = json.loads(json.dumps(to_json(subject.config)))
        assert build(subject.kind.Config, flat) == subject.config

    def test_every_field_of_its_config_is_in_exactly_one_stage(self, subject: Subject) -> None:
        staged = sorted(field for stage in subject.stages for field in stage.fields)
        assert staged == sorted(field.name for field in fields(subject.kind.Config))

    def test_it_reports_every_step_from_one_on(self, subject: Subject) -> None:
        assert list(subject.straight.digests) == list(range(1, len(subject.straight.digests) + 1))
        assert subject.straight.digests

    def test_a_fit_stopped_at_every_report_ends_as_one_never_stopped(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        done: list[str] = []
        step = 0
        for _ in range(len(subject.straight.digests) + 1):
            folder = tmp_path / str(step)
            detector = subject.restored(folder) if step else subject.new()
            context = WatchedContext(detector, done=done, step=step, stop_at=step + 1)
            torch.manual_seed(step)  # a fit may not lean on what torch's own generator happens to hold
            try:
                run_fit(detector, subject.train(), context)
            except Stopped:
                step, done = context.step, context.done
                assert context.digests[step] == subject.straight.digests[step], f"differs at report {step}"
                checkpoint.save(detector.state(), tmp_path / str(step))
                assert digest(checkpoint.load(tmp_path / str(step))) == context.digests[step]
            else:
                assert digest(detector.state()) == subject.straight.final
                return
        raise AssertionError("the fit did not end")

    def test_a_fit_goes_on_in_another_process_to_the_same_bits(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        middle = max(1, len(subject.straight.digests) // 2)
        detector = subject.new()
        context = WatchedContext(detector, stop_at=middle)
        try:
            run_fit(detector, subject.train(), context)
        except Stopped:
            checkpoint.save(detector.state(), tmp_path)
        order = {
            "module": subject.kind.__module__,
            "class": subject.kind.__name__,
            "config": to_json(subject.config),
            "done": context.done,
            "step": middle,
            "threads": torch.get_num_threads(),
            "folder": str(tmp_path),
        }
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "ad_detectors.testing", json.dumps(order)]
        ended = subprocess.run(
            command, env=paths, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.split()[-1] == subject.straight.final

    def test_stages_taken_from_a_store_give_the_same_state(self, subject: Subject, tmp_path: Path) -> None:
        detector = subject.new()
        run_fit(detector, subject.train(), WatchedContext(detector, stages=tmp_path))
        names = [stage.name for stage in subject.stages]
        assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(names)
        for count in range(1, len(names) + 1):
            again = subject.new()
            context = WatchedContext(again, stages=tmp_path, offered=names[:count])
            run_fit(again, subject.train(), context)
            assert digest(again.state()) == subject.straight.final, f"with {names[:count]} from the store"

    def test_its_state_is_plain_named_by_stage_and_free_of_leftovers(self, subject: Subject) -> None:
        stages = {stage.name for stage in subject.stages}
        for key, value in subject.straight.detector.state().items():
            assert isinstance(value, Tensor) or type(value) in (int, float, str, bool), key
            assert key.partition("/")[0] in stages, f"{key} belongs to no stage"
            assert "/training/" not in key, f"{key} is of no use after the fit"

    def test_a_state_of_something_else_is_refused(self, subject: Subject) -> None:
        try:
            subject.new().restore({"nonsense": torch.zeros(1)})
        except StateError:
            return
        raise AssertionError("restore took a state that is not its own")

    def test_a_score_depends_on_the_image_and_the_state_alone(self, subject: Subject, tmp_path: Path) -> None:
        detector, images = subject.straight.detector, self._mixed(subject)
        before = digest(detector.state())
        together = detector.score(images)
        torch.manual_seed(99)
        order = torch.randperm(len(images))
        permuted = detector.score(images[order])
        alone = [detector.score(image[None]) for image in images]
        checkpoint.save(detector.state(), tmp_path)
        reread = subject.restored(tmp_path).score(images)
        assert torch.equal(together.images[order], permuted.images)
        assert torch.equal(together.images, torch.cat([scores.images for scores in alone]))
        assert torch.equal(together.images, reread.images)
        assert digest(detector.state()) == before, "scoring changed the state"
        if together.maps is not None:
            assert permuted.maps is not None
            assert torch.equal(together.maps[order], permuted.maps)
            for index, scores in enumerate(alone):
                assert scores.maps is not None
                assert torch.equal(together.maps[index], scores.maps[0])

    def test_scores_are_finite_and_maps_have_the_size_of_the_images(self, subject: Subject) -> None:
        for size in (subject.config.image_size, subject.config.image_size + 8):
            images = pictures(2, size, seed=5)
            scores = subject.straight.detector.score(images)
            assert (scores.images.dtype, tuple(scores.images.shape)) == (torch.float32, (2,))
            assert bool(torch.isfinite(scores.images).all())
            if scores.maps is not None:
                assert (scores.maps.dtype, tuple(scores.maps.shape)) == (torch.float32, (2, size, size))
                assert bool(torch.isfinite(scores.maps).all())

    def test_a_planted_defect_raises_the_score_of_most_images(self, subject: Subject) -> None:
        clean = pictures(6, subject.config.image_size, seed=7)
        detector = subject.taught
        raised = detector.score(with_defect(clean)).images > detector.score(clean).images
        assert int(raised.sum()) >= 5, f"only {int(raised.sum())} of 6"

    def test_three_images_are_enough(self, subject: Subject) -> None:
        self._fits(subject, pictures(3, subject.config.image_size))

    def test_grey_images_will_do(self, subject: Subject) -> None:
        grey = pictures(6, subject.config.image_size)[:, :1].expand(-1, 3, -1, -1).contiguous()
        self._fits(subject, grey)

    def _fits(self, subject: Subject, images: Tensor) -> None:
        detector = subject.new()
        run_fit(detector, MemoryImages(images), WatchedContext(detector))
        assert bool(torch.isfinite(detector.score(images[:2]).images).all())

    def _mixed(self, subject: Subject) -> Tensor:
        clean = pictures(5, subject.config.image_size, seed=11)
        return torch.cat([clean, with_defect(clean[:4])])  # 9: no whole number of micro-batches


def _go_on(order: Mapping[str, Any]) -> str:
    """Finish a fit that another process began, and return the digest of its state."""
    torch.set_num_threads(order["threads"])
    kind = getattr(importlib.import_module(order["module"]), order["class"])
    subject = Subject(kind, build(kind.Config, order["config"]))
    detector = subject.restored(Path(order["folder"]))
    run_fit(detector, subject.train(), WatchedContext(detector, done=order["done"], step=order["step"]))
    return digest(detector.state())


if __name__ == "__main__":
    sys.stdout.write(_go_on(json.loads(sys.argv[1])) + "\n")
