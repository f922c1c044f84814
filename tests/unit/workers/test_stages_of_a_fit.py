"""A fit that dies at the end of a stage leaves no gap in its curve, and the stage is stored all the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.specs import JobSpec
from ad_platform.states import JobKind
from ad_platform.storage.metrics import read_segments
from ad_workers import context
from ad_workers import messages as say
from ad_workers.kinds import train
from desks import Desks, make_category
from trial_cases import add_learners, asked
from zoo_guests import guests


class Died(BaseException):
    """The process ended here: nothing after it is run."""


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path / "desks")
    yield made
    made.close()


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobSpec]:
    with guests(tmp_path / "zoo", monkeypatch) as add:
        add_learners(add)
        category = make_category(tmp_path / "c", test=False)
        yield replace(asked(category), kind=JobKind.TRAIN, measures=(), holdout="none")


def before_it_is_stored(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def publish(storage: object, key: str, folder: Path, meta: dict[str, str], guard: object) -> None:
        if meta["stage"] == stage:
            raise Died
        return kept(storage, key, folder, meta, guard)  # type: ignore[arg-type,return-value]

    kept = context.publish_stage
    monkeypatch.setattr(context, "publish_stage", publish)


def before_it_is_told(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def say_it(self: object, message: object) -> None:
        if isinstance(message, say.StageMade) and message.stage == stage:
            raise Died
        kept(self, message)  # type: ignore[arg-type]

    kept = context.Desk.say
    monkeypatch.setattr(context.Desk, "say", say_it)


@pytest.mark.parametrize("stage", ["mean", "score"])
@pytest.mark.parametrize("dies", [before_it_is_stored, before_it_is_told])
def test_an_attempt_that_dies_at_the_end_of_a_stage_leaves_no_gap(
    desks: Desks, spec: JobSpec, stage: str, dies: Callable[[pytest.MonkeyPatch, str], None]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        dies(patch, stage)
        with pytest.raises(Died):
            train.run(desks.open(spec)[0])
    desk, supervisor = desks.open(spec, attempt=2)
    killed = train.run(desk).result
    stages = [one for one in supervisor.receive() if isinstance(one, say.StageMade)]
    assert [one.stage for one in stages] == ["mean", "score"]
    assert {f"stages/{one.key}" for one in stages} == {*desks.storage.bundles("stages")}
    curve = points(desks)
    desks.storage.remove("stages")
    desks.job = "straight"
    straight = train.run(desks.open(spec)[0]).result
    assert curve == points(desks)
    assert [step for step, _ in curve] == list(range(1, int(str(straight["steps"])) + 1))
    assert weights(desks, killed["bundle"]) == weights(desks, straight["bundle"])


def points(desks: Desks) -> list[tuple[int, dict[str, float]]]:
    manifest = desks.storage.manifest(max(desks.storage.bundles(f"jobs/{desks.job}/checkpoints")))
    assert manifest is not None
    return [
        (point.step, {name: value for name, value in point.metrics.items() if not name.startswith("system/")})
        for point in read_segments(desks.storage, manifest)
    ]


def weights(desks: Desks, bundle: object) -> object:
    manifest = desks.storage.manifest(str(bundle))
    assert manifest is not None
    return manifest.files
