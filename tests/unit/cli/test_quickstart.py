"""Promises of the tour's parts: nothing is asked for twice, what was broken goes on, the better one wins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ad_cli import session
from ad_cli.commands import stack
from ad_cli.main import run
from ad_cli.quickstart import contest, screws
from ad_cli.quickstart.contest import Contender
from ad_cli.quickstart.screws import Screws
from ad_platform import datasets
from ad_platform.errors import Unavailable
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from clientkit import ENTRY, Bench, make_category


@pytest.fixture
def drawn(desk: Bench, tmp_path: Path) -> Screws:
    desk.store.workers.publish({name: {**ENTRY, "name": name} for name in ("ddad", "patchcore")}, "w0")
    found = datasets.open_folder(desk.client.settings, make_category(tmp_path / "images"))
    return Screws(found=found, fresh=True)


def jobs_of(contenders: list[Contender]) -> list[str]:
    return [job.id for each in contenders for job in (each.train, each.evaluate)]


def ended(each: Contender, metrics: Mapping[str, float], ms: float | None = 1.0) -> Contender:
    result: dict[str, Json] = {"metrics": {**metrics}, "ms_per_image": ms}
    return replace(each, evaluate=replace(each.evaluate, result=result))


def test_what_was_asked_for_once_is_not_asked_for_again(desk: Bench, drawn: Screws) -> None:
    first, again = contest.ask(desk.client, drawn), contest.ask(desk.client, drawn)
    detectors = [each.detector for each in first]

    assert jobs_of(first) == jobs_of(again)
    assert detectors == ["ddad", "patchcore"]
    assert len(desk.client.jobs()) == 4


def test_another_version_of_adctl_trains_anew(
    desk: Bench, drawn: Screws, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contest.ask(desk.client, drawn)
    monkeypatch.setattr(contest, "package_version", lambda: "99.0")

    after = contest.ask(desk.client, drawn)

    assert not set(jobs_of(before)) & set(jobs_of(after))


def test_jobs_that_were_cancelled_go_on_as_new_ones_and_only_once(desk: Bench, drawn: Screws) -> None:
    ddad, patchcore = contest.ask(desk.client, drawn)
    desk.client.cancel(ddad.train.id)
    assert desk.client.job(ddad.evaluate.id).state.terminal

    again = contest.ask(desk.client, drawn)

    assert again[0].train.retry_of == ddad.train.id
    assert again[0].evaluate.retry_of == ddad.evaluate.id
    assert again[0].evaluate.needs == (again[0].train.id,)
    assert jobs_of([again[1]]) == jobs_of([patchcore])
    assert jobs_of(contest.ask(desk.client, drawn)) == jobs_of(again)
    assert {job.state for job in (again[0].train, again[1].train)} == {JobState.QUEUED}


def test_the_better_one_is_chosen_by_held_out_pictures_and_never_by_test_pictures(
    desk: Bench, drawn: Screws
) -> None:
    ddad, patchcore = contest.ask(desk.client, drawn)
    good = {contest.BETTER_BY: 0.9, contest.THEN_BY: 0.5, "test/image_auroc": 0.1}
    poor = {contest.BETTER_BY: 0.8, contest.THEN_BY: 0.9, "test/image_auroc": 0.9}

    assert contest.better([ended(ddad, good), ended(patchcore, poor)]).detector == "ddad"
    assert contest.better([ended(ddad, poor), ended(patchcore, good)]).detector == "patchcore"
    assert "0.900 against 0.800" in contest.words(
        [winner := ended(ddad, good), ended(patchcore, poor)], winner
    )


def test_of_equals_pixels_decide_and_then_the_clock(desk: Bench, drawn: Screws) -> None:
    ddad, patchcore = contest.ask(desk.client, drawn)
    same = {contest.BETTER_BY: 0.9, contest.THEN_BY: 0.5}

    by_pixels = [ended(ddad, {**same, contest.THEN_BY: 0.6}, 9.0), ended(patchcore, same, 1.0)]
    by_time = [ended(ddad, same, None), ended(patchcore, same, 30.0)]

    assert contest.better(by_pixels).detector == "ddad"
    assert contest.better(by_time).detector == "patchcore"
    assert contest.RULE in contest.words(by_time, by_time[1])


def test_a_measure_that_is_missing_never_wins(desk: Bench, drawn: Screws) -> None:
    ddad, patchcore = contest.ask(desk.client, drawn)

    assert (
        contest.better([ended(ddad, {}), ended(patchcore, {contest.BETTER_BY: 0.1})]).detector == "patchcore"
    )


@pytest.fixture
def small(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tour begin with few small screws, and services that seem to run."""
    for name, count in (("TRAIN", 2), ("TEST_GOOD", 1), ("PER_DEFECT", 3), ("SIZE", 64)):
        monkeypatch.setattr(screws, name, count)
    monkeypatch.setattr(stack, "start", lambda settings: None)
    desk.store.workers.publish({name: {**ENTRY, "name": name} for name in ("ddad", "patchcore")}, "w0")
    (desk.home / "stack").mkdir()
    with session.lend(desk.client):
        yield


def test_screws_are_drawn_once_and_half_drawn_ones_are_cleared_away(desk: Bench, small: None) -> None:
    settings = desk.client.settings
    scrap = screws.folder_of(settings).parent / ".screw-killed" / "new"
    scrap.mkdir(parents=True)
    told: list[int] = []

    first = screws.draw(settings, told=lambda done, of: told.append(done))
    again = screws.draw(settings, told=lambda done, of: told.append(done))

    assert (first.fresh, again.fresh) == (True, False)
    assert told == list(range(1, 2 + 1 + 3 * 7 + 1))
    assert not scrap.parent.exists()
    assert all(picture.is_file() for picture in again.shown)
    assert again.found == first.found


def test_a_step_that_fails_is_named_with_what_to_do_and_what_still_runs(
    desk: Bench, small: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise Unavailable("the broker does not start: no room")

    monkeypatch.setattr(screws, "draw", broken)
    second = run(["quickstart"]), capsys.readouterr().err
    monkeypatch.setattr(stack, "start", broken)
    first = run(["quickstart"]), capsys.readouterr().err

    assert (first[0], second[0]) == (4, 4)
    assert "stopped in step 1 of 5, start the services: go on with adctl quickstart" in first[1]
    assert "adctl down" not in first[1]
    assert first[1].endswith("error: the broker does not start: no room\n")
    assert "stopped in step 2 of 5" in second[1]
    assert "the services run on, adctl down stops them" in second[1]


def test_an_interrupted_tour_leaves_its_jobs_and_the_next_one_takes_them_up(
    desk: Bench,
    small: None,
    drawn: Screws,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(ids: Sequence[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(screws, "draw", lambda settings, told: drawn)
    monkeypatch.setattr(desk.client, "watch", interrupted)

    codes = [run(["quickstart", "--json"]) for _ in range(2)]

    assert codes == [130, 130]
    assert "stopped in step 3 of 5" in capsys.readouterr().err
    assert [job.state for job in desk.client.jobs() if job.kind is JobKind.TRAIN] == [JobState.QUEUED] * 2


def test_a_tour_whose_job_was_cancelled_says_which_and_ends_as_a_watch_does(
    desk: Bench,
    small: None,
    drawn: Screws,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cancelled(ids: Sequence[str]) -> tuple[()]:
        desk.client.cancel(ids[0])
        return ()

    monkeypatch.setattr(screws, "draw", lambda settings, told: drawn)
    monkeypatch.setattr(desk.client, "watch", cancelled)

    assert run(["quickstart", "-q"]) == 11
    (train,) = desk.client.jobs(states=[JobState.CANCELLED])
    assert capsys.readouterr().err == (
        f"error: train job {train.id} cancelled; look with: adctl logs {train.id}\n"
    )
