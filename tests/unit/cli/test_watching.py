"""Promises of what a watch shows while jobs run, and when it ends."""

import io
import re
import sys

import pytest

from ad_cli.change_lines import ChangeLines
from ad_cli.hints import Hints
from ad_cli.pace import Pace, Speed
from ad_cli.tables import width_of
from ad_cli.watch_view import Shown, lines
from ad_platform.errors import StoreDown
from ad_platform.records import Job, Outcome, Progress
from ad_platform.requests import Snapshot
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, JobState
from clientkit import Bench

SCREW = DatasetRef(dataset="parts", category="screw", fingerprint="0", path="/x")


@pytest.fixture
def submit(adctl, screw):
    def ask(*more: str) -> list[str]:
        called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json", *more)
        return [job["id"] for job in called.json["jobs"]]

    return ask


class Script:
    """Does one thing at each pause of a watch; a watch that outlives the script fails the test."""

    def __init__(self, desk: Bench, *acts):
        self.acts = iter(acts)
        desk.client._pause = self

    def __call__(self, seconds: float) -> None:
        next(self.acts)()


def succeed(desk: Bench, lease, result=None):
    return lambda: desk.store.leases.finish(
        lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result or {})
    )


def step(desk: Bench, lease, number: int, of: int):
    return lambda: desk.store.leases.renew(
        lease, Progress(step=number, of=of, metrics={"train/loss": 1 / number}, images=8 * number)
    )


def test_a_job_of_a_thousand_steps_prints_a_line_for_each_tenth_of_its_way(desk: Bench):
    seconds = iter(range(10_000))

    def clock() -> float:
        return float(next(seconds))

    lines_of = ChangeLines(Pace(clock), Hints(desk.client, clock))
    said = [
        line
        for number in range(1, 1001)
        for line in lines_of.of(Snapshot(jobs=(running(1, progress=Progress(step=number, of=1000)),)))
    ]

    assert [line.split("  ")[2] for line in said] == [
        f"{number}/1000 ({number // 10}%)" for number in (1, *range(100, 1001, 100))
    ]


def test_a_store_that_is_away_is_waited_for_and_said_once(adctl, desk: Bench, submit, monkeypatch):
    (job,) = submit("--no-evaluate")
    get, away = desk.store.jobs.get, [False]

    def sometimes(job_id: str) -> Job:
        if away[0]:
            raise StoreDown("the store does not answer")
        return get(job_id)

    monkeypatch.setattr(desk.store.jobs, "get", sometimes)
    leave, come = (lambda: away.__setitem__(0, True)), (lambda: away.__setitem__(0, False))
    nothing, end = (lambda: None), (lambda: desk.store.jobs.cancel(job))
    Script(desk, leave, nothing, nothing, come, end)

    called = adctl("watch", job)

    assert called.code == 11
    assert called.err.count("the store does not answer") == 1
    assert called.err.index("does not answer") < called.err.index("all services answer again")


def test_several_attempts_are_one_watch(adctl, desk: Bench, submit):
    submit("--no-evaluate")
    first = desk.lease()
    again = []
    Script(
        desk,
        step(desk, first, 5, 10),
        lambda: desk.store.leases.give_back(first, "its worker was drained"),
        lambda: again.append(desk.lease()),
        lambda: step(desk, again[0], 6, 10)(),
        lambda: succeed(desk, again[0])(),
    )

    called = adctl("watch")

    assert called.code == 0
    assert "queued: its worker was drained" in called.err
    assert re.search(r"6/10 .*attempt 2 on w1", called.err)


def test_a_watch_of_everything_is_joined_by_what_is_submitted_meanwhile(adctl, desk: Bench, submit):
    (first,) = submit("--no-evaluate")
    late: list[str] = []
    spec = desk.store.jobs.get(first).spec

    def join() -> None:
        from ad_platform.specs import Submission

        late.extend(job.id for job in desk.store.jobs.submit([Submission(spec=spec, user="kim")]))

    Script(desk, join, lambda: desk.store.jobs.cancel(first), lambda: desk.store.jobs.cancel(late[0]))

    called = adctl("watch", "-q")

    assert called.out.splitlines() == [f"{first} cancelled", f"{late[0]} cancelled"]
    assert called.err == ""
    assert called.code == 11


EVALUATED = {
    "metrics": {"test/image_auroc": 0.94125, "test/pixel_auroc": 0.9, "validation/ties": 0.0},
    "intervals": {"test/image_auroc": [0.8912, 0.98765]},
    "defects": {"bent": {"image_auroc": 0.9}, "scratch": {"image_auroc": 1.0}},
    "operating_point": {"threshold": 0.25, "rate": 0.05, "normals": 19, "certified": True},
}


def evaluated(adctl, desk: Bench, submit, result) -> str:
    submit()
    succeed(desk, desk.lease())()
    succeed(desk, desk.lease(), result)()
    return adctl("watch", adctl("list", "-k", "train", "-q").out.strip()).out


def test_an_evaluation_ends_with_its_measures_intervals_defects_and_threshold(adctl, desk, submit):
    out = [" ".join(line.split()) for line in evaluated(adctl, desk, submit, EVALUATED).splitlines()]

    assert out[2:] == [
        "image AUROC 0.9413 95 % [0.8912, 0.9877]",
        "pixel AUROC 0.9000",
        "threshold 0.25 at most 5 % false alarms, by 19 normal images",
        "image AUROC by defect bent 0.9000 scratch 1.0000",
    ]


def test_an_evaluation_without_anomalous_images_says_that_there_is_no_auroc(adctl, desk, submit):
    result = {"images": 3, "metrics": {"test/image_auroc": None}, "intervals": {}, "defects": {}}
    out = evaluated(adctl, desk, submit, result)

    assert re.search(r"image AUROC +n/a: there were no anomalous test images", out)
    assert "AUROC n/a" in adctl("list").out


def test_the_end_of_a_failed_job_points_to_its_log(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    failed = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="0.png is broken")
    desk.store.leases.finish(desk.lease(), failed)

    called = adctl("watch", "@last")

    assert called.code == 10
    assert "failed" in called.out
    assert "data: 0.png is broken" in called.out
    assert f"adctl logs {job[:8]}" in called.err


def test_a_queued_job_that_nobody_will_take_says_what_to_do(adctl, desk: Bench, submit, monkeypatch):
    (job,) = submit("--no-evaluate")
    now = iter(range(0, 100, 3))
    monkeypatch.setattr("ad_cli.watching.watch_to_the_end.__defaults__", (lambda: float(next(now)),))
    Script(desk, lambda: None, lambda: None, lambda: None, lambda: desk.store.jobs.cancel(job))

    assert adctl("watch", job).err.count("no worker is online") == 1


def test_a_queued_job_behind_a_busy_worker_says_so_once_though_the_step_it_is_busy_with_grows(
    adctl, desk: Bench, submit, monkeypatch
):
    desk.online()
    submit("--no-evaluate")
    lease = desk.lease()
    (job,) = submit("--no-evaluate", "--seed", "1")
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr("ad_cli.watching.watch_to_the_end.__defaults__", (lambda: float(next(now)),))
    steps = [step(desk, lease, number, 9) for number in range(1, 7)]
    Script(desk, *steps, lambda: desk.store.jobs.cancel(job))

    said = adctl("watch", job).err

    assert said.count("busy with") == 1
    assert f"busy with {lease.job_id}" in said


def running(number: int, **more) -> Job:
    return Job(
        id=f"{number:016x}",
        seq=number,
        spec=JobSpec(kind=JobKind.EVALUATE, detector="patchcore", dataset=SCREW),
        user="kim",
        attempt=2,
        worker="a-node-with-a-rather-long-name-1",
        **{
            "state": JobState.RUNNING,
            "progress": Progress(
                step=52345, of=100000, metrics={"train/loss": 0.0123, "train/adaptation_loss": 12.5}
            ),
            **more,
        },
    )


SPEED = Speed(steps=2.0, images=16.25, left=43827.0)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("coloured", [True, False])
def test_what_is_drawn_fits_the_terminal(width, coloured):
    jobs = [
        Shown(job=running(1), speed=SPEED),
        Shown(job=running(2, state=JobState.QUEUED), speed=Speed(), hint="no worker is online " * 9),
        Shown(job=running(3, state=JobState.FAILED, failure=FailureClass.OOM), speed=Speed()),
    ]
    drawn = lines(jobs, "the store does not answer " * 9, width, 24, coloured=coloured)
    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in drawn]

    assert max(map(width_of, plain)) < width
    assert coloured == (drawn != plain)


def test_eighty_columns_hold_all_that_matters():
    first, second = lines([Shown(job=running(1), speed=SPEED)], "", 80, 24, coloured=False)

    assert first.startswith("00000000 evaluate patchcore screw")
    assert first.endswith("52%   52345/100000  ETA 12h10m")
    assert "━─" in first
    assert second.split("   ")[3:] == [
        "loss 0.0123",
        "adaptation loss 12.5",
        "16.2 images/s",
        "attempt 2 on a-n…",
    ]


def test_more_jobs_than_lines_show_those_that_run_and_count_the_others():
    jobs = [Shown(job=running(n, state=JobState.QUEUED), speed=Speed()) for n in range(30)]
    drawn = lines([*jobs, Shown(job=running(99), speed=SPEED)], "", 80, 12, coloured=False)

    assert len(drawn) == 10
    assert drawn[-2].startswith(f"{99:016x}"[:8])
    assert drawn[-1] == "and 22 queued"


def test_a_terminal_gets_bars_that_are_gone_at_the_end(adctl, desk: Bench, submit, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    submit("--no-evaluate")
    lease = desk.lease()
    Script(desk, step(desk, lease, 4, 10), step(desk, lease, 5, 10), succeed(desk, lease))
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    from ad_cli.main import run

    assert run(["watch"]) == 0
    drawn = terminal.getvalue()
    assert "━" in drawn
    assert "5/10" in drawn
    assert drawn.rindex("\x1b[2K") > drawn.rindex("━")  # erased


def test_no_color_gives_lines_instead_of_bars(adctl, desk: Bench, submit, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    submit("--no-evaluate")
    lease = desk.lease()
    Script(desk, step(desk, lease, 4, 10), succeed(desk, lease))
    terminal = Terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", terminal)
    from ad_cli.main import run

    assert run(["watch"]) == 0
    assert "\x1b" not in terminal.getvalue()
    assert "4/10 (40%)" in terminal.getvalue()
