"""A fit on several devices is one fit: one curve, one checkpoint, one death (CPU processes over gloo)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
import torch

from ad_detectors import checkpoint as states
from ad_detectors import registry
from ad_detectors.config import to_json
from ad_platform.specs import JobSpec
from ad_platform.states import Directive, FailureClass, JobKind
from ad_platform.storage.checkpoints import stored_checkpoints
from ad_platform.storage.engine import open_storage
from ad_platform.storage.metrics import read_segments
from ad_workers.boottime import boottime
from ad_workers.exits import Exit
from ad_workers.messages import Assignment, CheckpointMade, Done, Failed, Note, Order, Report
from ad_workers.nursery import Child, Nursery
from desks import make_category, spec_of

pytestmark = pytest.mark.timeout(300)
PATIENCE = 60.0
STEPS = 8
LITTLE = {
    "image_size": 32,
    "base_channels": 32,
    "heads": 1,
    "steps": STEPS,
    "batch_size": 3,  # not to be halved
    "dropout": 0.0,
    "backbone": "none",
    "adapt_epochs": 0,
    "lr": 1e-4,
}


@dataclass
class Yard:
    """One zygote, a storage, and the pictures that every fit here learns from."""

    folder: Path
    nursery: Nursery
    spec: JobSpec
    heard: dict[int, list[object]] = field(default_factory=dict)
    tokens: dict[tuple[str, int], int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # of other jobs, in whose storage a job finds stages

    def start(self, job: str, ranks: int, attempt: int = 1, spec: JobSpec | None = None) -> Child:
        spec = spec or self.spec
        scratch = self.folder / f"{job}-a{attempt}"
        scratch.mkdir()
        assignment = Assignment(
            job_id=job,
            attempt=attempt,
            kind="train",
            spec=spec.to_json(),
            data=spec.dataset.path,
            storage_url=self.storage(job),
            scratch=str(scratch),
            cache=str(self.folder / "cache"),
            fingerprints=str(self.folder / "fingerprints.json"),
            weights=None,
            lineage=(job,),
            source=None,
            threads=1,
            devices=(),
            deadline=boottime() + 600,
            ranks=ranks,
        )
        return self.nursery.spawn(assignment, self.folder / f"{job}-a{attempt}.log")

    def storage(self, job: str) -> str:
        return str(self.folder / f"storage-{self.places.get(job, job)}")

    def until(self, child: Child, wanted: object) -> list[object]:
        """Listen until the child has said something of a kind, or has ended; return all it said so far."""
        heard = self.heard.setdefault(child.token, [])
        end = time.monotonic() + PATIENCE
        while not any(isinstance(one, wanted) for one in heard):  # type: ignore[arg-type]
            assert time.monotonic() < end, f"{wanted} never came; it said {heard}"
            over = child.ended.is_set()
            heard += child.link.receive(timeout=0.1)
            if over:
                break
        return heard

    def ended(self, child: Child) -> list[object]:
        assert child.ended.wait(PATIENCE)
        heard = self.heard.setdefault(child.token, [])
        heard += child.link.receive()
        child.link.close()
        return heard

    def curve(self, job: str) -> dict[int, float]:
        storage = open_storage(self.storage(job))
        manifest = storage.manifest(stored_checkpoints(storage, job)[0])
        assert manifest is not None
        return {point.step: point.metrics["train/loss"] for point in read_segments(storage, manifest)}

    def weights(self, job: str, attempt: int = 1) -> dict[str, torch.Tensor]:
        (done,) = [one for one in self.heard[self.tokens[job, attempt]] if isinstance(one, Done)]
        place = self.folder / f"model-{job}"
        open_storage(self.storage(job)).fetch(str(done.result["bundle"]), place)
        detector = states.load_model(place, torch.device("cpu"))
        return {name: value for name, value in detector.state().items() if isinstance(value, torch.Tensor)}

    def fit(self, job: str, ranks: int, spec: JobSpec | None = None) -> list[object]:
        """Fit to the end; a fit that was asked for before is not made again."""
        if (job, 1) not in self.tokens:
            child = self.start(job, ranks, spec=spec)
            self.tokens[job, 1] = child.token
            self.ended(child)
            assert child.status == Exit.DONE, (self.folder / f"{job}-a1.log").read_text()
        return self.heard[self.tokens[job, 1]]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("ranks")
    category = make_category(folder / "c", test=False)
    config = to_json(registry.create("ddad", LITTLE).config)
    spec = replace(spec_of(JobKind.TRAIN, category, "ddad", config=config, seed=3), checkpoint_every=2)
    nursery = Nursery()
    yield Yard(folder, nursery, spec)
    nursery.close()


def others(child: Child) -> list[psutil.Process]:
    assert child.pid is not None
    return psutil.Process(child.pid).children()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def all_die(processes: list[psutil.Process]) -> None:
    end = time.monotonic() + 10
    while alive(processes):
        assert time.monotonic() < end, f"these live on: {processes}"
        time.sleep(0.05)


def test_two_ranks_have_the_loss_curve_of_one_process_with_the_same_batches(yard: Yard) -> None:
    yard.fit("alone", 1)
    heard = yard.fit("pair", 2)
    assert {"ranks": 2} in [one.facts for one in heard if isinstance(one, Note)]
    one, two = yard.curve("alone"), yard.curve("pair")
    assert list(one) == list(two) == list(range(1, STEPS + 1))
    assert len(set(one.values())) == STEPS
    # Rounding, which Adam magnifies, is all that may tell them apart; half of a batch is worse by far.
    apart = max(abs(two[step] / one[step] - 1) for step in one)
    assert apart < 1e-5


def test_more_ranks_than_pictures_in_a_batch_make_the_same_steps_too(yard: Yard) -> None:
    spec = replace(yard.spec, config={**yard.spec.config, "batch_size": 2, "steps": 3})
    yard.fit("few", 1, spec)
    yard.fit("crowd", 3, spec)
    assert yard.curve("crowd") == pytest.approx(yard.curve("few"), rel=1e-4)


def test_a_pair_that_was_stopped_goes_on_to_the_bits_of_one_that_was_not(yard: Yard) -> None:
    yard.fit("pair", 2)
    child = yard.start("halted", 2)
    yard.until(child, CheckpointMade)
    child.link.send(Order(directive=Directive.DRAIN))
    yard.ended(child)
    assert child.status == Exit.DRAINED
    again = yard.start("halted", 2, attempt=2)
    yard.tokens["halted", 2] = again.token
    heard = yard.ended(again)
    assert again.status == Exit.DONE
    (resumed,) = [
        one.facts["resumed_step"] for one in heard if isinstance(one, Note) and "resumed_step" in one.facts
    ]
    assert 2 <= int(str(resumed)) < STEPS
    assert yard.curve("halted") == yard.curve("pair")
    straight = yard.weights("pair")
    for name, value in yard.weights("halted", 2).items():
        assert torch.equal(value, straight[name]), name


def endless(yard: Yard) -> JobSpec:
    return replace(yard.spec, seed=99, config={**yard.spec.config, "steps": 100_000})


def test_a_killed_rank_ends_the_attempt_and_is_named(yard: Yard) -> None:
    child = yard.start("widowed", 2, spec=endless(yard))
    yard.until(child, CheckpointMade)
    (other,) = others(child)
    other.kill()
    heard = yard.ended(child)
    assert child.status == Exit.FAILED
    (failure,) = [one for one in heard if isinstance(one, Failed)]
    assert failure.failure is FailureClass.CRASH
    assert failure.error == "rank 1: the process was killed by SIGKILL (signal 9)"


def test_ranks_die_with_rank_zero_and_are_no_orphans(yard: Yard) -> None:
    child = yard.start("beheaded", 3, spec=endless(yard))
    yard.until(child, CheckpointMade)
    both = others(child)
    assert len(both) == 2
    assert child.pid is not None
    psutil.Process(child.pid).kill()
    yard.ended(child)
    all_die(both)


def test_a_cancel_ends_all_ranks(yard: Yard) -> None:
    child = yard.start("cancelled", 2, spec=endless(yard))
    yard.until(child, CheckpointMade)
    (other,) = others(child)
    child.link.send(Order(directive=Directive.CANCEL))
    yard.ended(child)
    assert child.status == Exit.CANCELLED
    all_die([other])


def test_a_stage_that_is_stored_keeps_no_rank_waiting(yard: Yard) -> None:
    yard.fit("pair", 2)
    yard.places["again"] = "pair"
    heard = yard.fit("again", 2)  # the same stages: found, not fitted
    assert [one.step for one in heard if isinstance(one, Report) and one.step] == []
    assert yard.weights("again").keys() == yard.weights("pair").keys()


def test_a_detector_that_fits_on_one_device_does_so(yard: Yard) -> None:
    config = to_json(registry.create("pixel_mean", {"image_size": 16}).config)
    spec = replace(yard.spec, detector="pixel_mean", config=config)
    yard.fit("single", 2, spec)
    assert (
        "detector 'pixel_mean' fits on one device: its other cards idle"
        in (yard.folder / "single-a1.log").read_text()
    )
