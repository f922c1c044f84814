"""A trial comes to the same end wherever it dies, trains nothing twice, and agrees with an evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ad_platform.specs import JobSpec, Json
from ad_platform.states import JobKind
from ad_workers.kinds import evaluate, train, trial
from desks import Desks, make_category
from trial_cases import FIRST, PIXELS, TEST, add_learners, asked, fit_steps, told
from zoo_guests import guests


class Killed(BaseException):
    """The process dies."""


class Mortal:
    """A storage whose process dies before or after one of its calls; `moments` counts those."""

    def __init__(self, storage: object, at: int | None = None) -> None:
        self._storage, self._at, self.moments = storage, at, 0

    def __getattr__(self, name: str) -> Callable[..., object]:
        def called(*arguments: object, **more: object) -> object:
            self._pass()
            result = getattr(self._storage, name)(*arguments, **more)
            self._pass()
            return result

        return called

    def _pass(self) -> None:
        self.moments += 1
        if self._at is not None and self.moments >= self._at:
            raise Killed


@pytest.fixture(autouse=True)
def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with guests(tmp_path / "zoo", monkeypatch) as add:
        add_learners(add)
        yield


def ends(desks: Desks, spec: JobSpec, attempt: int = 1, mortal: Mortal | None = None) -> tuple[object, str]:
    """Run a trial and return what it left: what its record says, and its scores."""
    desk, _ = desks.open(spec, attempt=attempt, storage=mortal)  # type: ignore[arg-type]
    result = dict(trial.run(desk).result)
    return told(result), desks.read(result["bundle"], "scores.csv")


def killed_everywhere(
    folder: Path, spec: JobSpec, every: int, made: list[int], steps: int
) -> Iterator[tuple[int, int]]:
    """Kill at each moment, or at one of so many, and yield the moment and how many steps were made again."""
    desks = Desks(folder / "straight")
    whole = Mortal(desks.storage)
    expected = ends(desks, spec, mortal=whole)
    desks.close()
    assert len(made) == steps
    for at in range(1, whole.moments + 1, every):
        desks, before = Desks(folder / str(at)), len(made)
        with pytest.raises(Killed):
            ends(desks, spec, mortal=Mortal(desks.storage, at))
        assert ends(desks, spec, attempt=2) == expected, at
        desks.close()
        yield at, len(made) - before - steps


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("detector", "settings", "steps"),
    [("gradual", {}, 6), ("whole", {"steps": 5, "pause": 0.0}, 5), ("pixel_mean", {}, 1)],
)
def test_a_trial_killed_at_any_moment_goes_on_to_the_same_end_and_makes_one_step_again_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: str, settings: dict[str, Json], steps: int
) -> None:
    spec = asked(make_category(tmp_path / "c", test=True), FIRST, PIXELS, detector=detector, **settings)
    spec = replace(spec, checkpoint_every=1)
    found = dict(killed_everywhere(tmp_path, spec, 1, fit_steps(monkeypatch), steps))
    assert len(found) > 20
    assert set(found.values()) == {0, 1}  # the step whose checkpoint was being written
    first_of_scoring = max(at for at, again in found.items() if again)
    assert len(found) - first_of_scoring >= 8  # and from there on none


@pytest.mark.timeout(300)
def test_settings_as_published_are_tried_as_published(tmp_path: Path) -> None:
    settings: dict[str, Json] = {"compat": True, "compat_batch": 3, "steps": 2, "skip": 100, "image_size": 32}
    category = make_category(tmp_path / "c", test=True, side=32)
    spec = asked(category, TEST, detector="ddad", **settings)
    tried, trained, judged = (Desks(tmp_path / "desks", job) for job in ("tried", "trained", "evaluated"))
    found = trial.run(tried.open(spec)[0]).result
    model = train.run(trained.open(replace(spec, kind=JobKind.TRAIN))[0]).result
    desk, _ = judged.open(replace(spec, kind=JobKind.EVALUATE, source="trained"), str(model["bundle"]))
    whole = evaluate.run(desk).result
    assert found["rungs"] == []
    assert found["metrics"][TEST] == whole["metrics"][TEST]  # type: ignore[index,call-overload]
    for desks in (judged, trained, tried):
        desks.close()


@pytest.mark.timeout(300)
def test_no_optimiser_step_is_made_twice_once_its_stage_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    step = torch.optim.Adam.step

    def counted(self: torch.optim.Adam, *arguments: object) -> object:
        made.append(1)
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    category = make_category(tmp_path / "c", test=True, side=32)
    spec = asked(category, FIRST, detector="ddad", image_size=32, steps=3, skip=100)
    again = [more for _, more in killed_everywhere(tmp_path, spec, 3, made, 3)]
    # So short a fit is not checkpointed: it is made again until its stage is stored, and found from then on.
    lost = [place for place, more in enumerate(again) if more]
    assert set(again) == {0, 3}
    assert lost[-1] < len(again) - 5
