"""Promises of what a watch of a sweep shows, and how it ends."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ad_cli.pace import Pace
from ad_cli.sweeps.drawing import screen
from ad_cli.sweeps.looks import Look, Looker
from ad_cli.tables import width_of
from ad_platform.errors import StoreDown
from ad_platform.records import Job, Lease, Outcome, Progress
from ad_platform.specs import Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.steering import Sweeps
from clientkit import Bench
from sweep_stories import Sweep, holding

POINT = {"lr": 0.01, "image_size": 16, "mode": "mean"}
Act = Callable[[], object]


@pytest.fixture
def night(desk: Bench) -> Sweep:
    desk.online()
    return Sweep.of(desk.store, "night", wanted=4, parallel=2)


class Script:
    """Does one thing at each pause of a watch; a watch that outlives the script fails the test."""

    def __init__(self, desk: Bench, *acts: Act) -> None:
        self.acts = iter(acts)
        desk.client._pause = self

    def __call__(self, seconds: float) -> None:
        next(self.acts)()


def ended(sweep: Sweep, *values: float, **how: object) -> Act:
    return lambda: sweep.tried(POINT, *values, **how)  # type: ignore[arg-type]


def job_of(sweep: Sweep, kind: JobKind, key: str) -> Job:
    """Submit what is no trial: a training that trials share, or a job of the best."""
    asked = Submission(
        spec=replace(sweep.spec.job, kind=kind, measures=()),
        user="kim",
        key=key,
        group=sweep.name,
        tags={"sweep": sweep.name},
    )
    sweep.store.workers.hold([holding(sweep.spec.job.dataset)])
    return sweep.store.jobs.submit([asked])[0]


def test_each_trial_that_ends_is_a_line_and_a_new_best_is_marked(adctl, desk: Bench, night: Sweep):
    Script(
        desk,
        ended(night, 0.91),
        ended(night, 0.9),
        ended(night, 0.95),
        ended(night, state=TrialState.FAILED, error="the loss is nan"),
        lambda: night.finish(number=2),
    )
    called = adctl("sweep", "watch", "night")

    lines = [line for line in called.err.splitlines() if line.startswith("trial ")]
    assert [re.sub(r"  \d+s", "", line) for line in lines] == [
        "trial 0  complete  0.9100  lr=0.01 image_size=16 mode=mean  the best so far  (1 of 4)",
        "trial 1  complete  0.9000  lr=0.01 image_size=16 mode=mean  (2 of 4)",
        "trial 2  complete  0.9500  lr=0.01 image_size=16 mode=mean  the best so far  (3 of 4)",
        "trial 3  failed  lr=0.01 image_size=16 mode=mean  the loss is nan  (4 of 4)",
    ]
    assert called.err.startswith("night: 0 of 4 trials, none yet\n")
    assert called.code == 0


def test_a_watch_that_comes_late_says_how_far_it_is_and_no_trial_twice(adctl, desk: Bench, night: Sweep):
    night.tried(POINT, 0.91)
    night.tried(POINT, 0.6, state=TrialState.PRUNED)
    Script(desk, lambda: None, ended(night, 0.8), lambda: night.finish(number=0))

    said = adctl("sweep", "watch", "night").err

    assert said.startswith(
        "night: 2 of 4 trials, 1 complete, 1 pruned; best 0.9100  trial 0: lr=0.01 image_size=16 mode=mean\n"
    )
    assert re.findall(r"^trial (\d+)", said, re.MULTILINE) == ["2"]


def test_trials_that_were_ruled_out_or_known_are_no_news(adctl, desk: Bench, night: Sweep):
    Script(
        desk,
        lambda: night.remember(TrialOrigin.RULED_OUT, TrialState.FAILED, POINT, error="no"),
        lambda: night.known(POINT, 0.7),
        ended(night, 0.8),
        lambda: night.finish(number=2),
    )
    assert re.findall(r"^trial (\d+)", adctl("sweep", "watch", "night").err, re.MULTILINE) == ["2"]


def test_a_training_that_trials_wait_for_and_the_jobs_of_the_best_are_told(adctl, desk: Bench, night: Sweep):
    training = job_of(night, JobKind.TRAIN, "stage/abc")
    leases: list[Lease] = []
    success = Outcome(outcome=AttemptOutcome.SUCCEEDED)
    best: list[Job] = []

    def lease() -> None:
        leases.append(desk.lease(1e9))

    Script(
        desk,
        lease,
        lambda: desk.store.leases.finish(leases[0], success),
        lambda: best.append(job_of(night, JobKind.TRAIN, f"sweep/{night.study.id}/best/0")),
        lease,
        lambda: desk.store.leases.finish(leases[1], success),
        ended(night, 0.8),
        lambda: night.finish(number=0),
    )
    said = adctl("sweep", "watch", "night").err

    assert f"{training.id[:8]}  train for trials: running on w1\n" in said
    assert f"{training.id[:8]}  train for trials: ended\n" in said
    assert f"{best[0].id[:8]}  train of the best: running on w1\n" in said


def test_a_store_that_is_away_is_waited_for_and_said_once(adctl, desk: Bench, night: Sweep, monkeypatch):
    get = desk.store.studies.get

    def away(name: str) -> object:
        raise StoreDown("the store does not answer")

    Script(
        desk,
        lambda: monkeypatch.setattr(desk.store.studies, "get", away),
        lambda: None,
        lambda: monkeypatch.setattr(desk.store.studies, "get", get),
        ended(night, 0.8),
        lambda: night.finish(number=0),
    )
    called = adctl("sweep", "watch", "night")

    assert called.code == 0
    assert called.err.count("the store does not answer") == 1
    assert called.err.index("does not answer") < called.err.index("all services answer again")


def test_a_pause_and_a_resume_are_told(adctl, desk: Bench, night: Sweep):
    steer = desk.store.studies.steer
    Script(
        desk,
        lambda: steer(night.study.id, state=StudyState.PAUSED),
        lambda: steer(night.study.id, state=StudyState.RUNNING),
        ended(night, 0.8),
        lambda: night.finish(number=0),
    )
    said = adctl("sweep", "watch", "night").err

    assert "night is paused: it asks for no more; let it go on with: adctl sweep resume night\n" in said
    assert "night is running: it asks for more\n" in said


def test_a_sweep_of_which_nothing_runs_says_why_once(adctl, desk: Bench, monkeypatch):
    sweep = Sweep.of(desk.store, "alone", wanted=1)
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr("ad_cli.sweeps.watching.watch_sweep.__defaults__", (lambda: float(next(now)),))
    nothing = [lambda: None] * 4
    Script(desk, *nothing, lambda: desk.store.studies.steer(sweep.study.id, state=StudyState.STOPPED))

    said = adctl("sweep", "watch", "alone").err

    assert said.count("waiting: no worker is online, so the sweep waits; start one with") == 1


@pytest.mark.parametrize(("final", "code"), [(FailureClass.DATA, 10), (None, 0)])
def test_the_exit_code_tells_what_became_of_the_best(final, code, adctl, desk: Bench, night: Sweep):
    night.tried(POINT, 0.9)
    job = job_of(night, JobKind.TRAIN, f"sweep/{night.study.id}/best/0")
    outcome = AttemptOutcome.FAILED if final else AttemptOutcome.SUCCEEDED
    desk.store.leases.finish(desk.lease(), Outcome(outcome=outcome, failure=final))
    night.finish(number=0, train=job.id)

    assert adctl("sweep", "watch", "night").code == code


def test_a_sweep_without_a_complete_trial_failed_and_a_cancelled_one_was_cancelled(
    adctl, desk: Bench, night: Sweep
):
    other = Sweep.of(desk.store, "other")
    desk.store.studies.steer(other.study.id, state=StudyState.STOPPED)
    night.tried(POINT, state=TrialState.FAILED, error="the loss is nan")
    night.finish()

    failed, cancelled = adctl("sweep", "watch", "night"), adctl("sweep", "watch", "other", "-q")

    assert (failed.code, cancelled.code) == (10, 11)
    assert failed.out.startswith("night  sweep toy on parts/screw: finished")
    assert "adctl sweep trials night --state failed" in failed.err
    assert cancelled.out == "other stopped\n"


def test_the_end_has_best_and_result_as_data_and_points_on(adctl, night: Sweep):
    night.tried(POINT, 0.96)
    night.finish(number=0, metrics={"test/image_auroc": 0.91, "validation/image_auroc": 0.95})

    called = adctl("sweep", "watch", "night")

    out = [" ".join(line.split()) for line in called.out.splitlines()]
    assert out[0].endswith("1 complete")
    assert out.index("best") < out.index("validation/image_auroc 0.9600") < out.index("result")
    assert out.index("result") < out.index("test/image_auroc 0.9100")
    assert "adctl promote night --best" in called.err


def test_json_prints_a_line_for_every_change(adctl, desk: Bench, night: Sweep):
    night.tried(POINT, 0.9)
    Script(desk, lambda: None, ended(night, 0.95), lambda: night.finish(number=1))

    called = adctl("sweep", "watch", "night", "--json")

    lines = [json.loads(line) for line in called.out.splitlines()]
    told = [(one["kind"], one.get("number"), one["state"]) for one in lines]
    assert told == [
        ("trial", 0, "complete"),
        ("sweep", None, "running"),
        ("trial", 1, "complete"),
        ("sweep", None, "running"),
        ("sweep", None, "finished"),
    ]
    assert called.err == ""


def test_ctrl_c_leaves_the_sweep_running_and_says_so(adctl, desk: Bench, night: Sweep):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.client._pause = interrupt
    called = adctl("sweep", "watch", "night")

    assert (called.code, called.out) == (130, "")
    assert "it goes on: look again with `adctl sweep watch night`" in called.err
    assert desk.store.studies.get("night").state is StudyState.RUNNING


@pytest.fixture
def look(desk: Bench, night: Sweep) -> Look:
    """One look at a sweep with something running, queued and ended."""
    night.tried(POINT, 0.9)
    going, queued = night.ask(POINT), night.ask({**POINT, "mode": "median"})
    night.run(going)
    job = desk.store.jobs.get(night.jobs[going][0].id)
    desk.store.leases.renew(
        Lease(job=job, attempt=job.attempt, worker="w1", seconds=1e9), Progress(step=30, of=80)
    )
    assert queued == 2
    return next(looks(desk, night))


def looks(desk: Bench, sweep: Sweep) -> Iterator[Look]:
    return Looker(desk.client, Sweeps(desk.client), sweep.study, lambda: 0.0).looks()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("coloured", [True, False])
def test_what_is_drawn_fits_the_terminal(width: int, coloured: bool, look: Look):
    long = replace(look, hint="no worker is online " * 9, trouble="the store does not answer " * 9)
    drawn = screen(long, Pace(lambda: 0.0), width, 24, coloured=coloured)
    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in drawn]

    assert max(map(width_of, plain)) < width
    assert coloured == (drawn != plain)


def test_a_header_with_sums_best_and_settings_stands_above_the_bars_of_trials(look: Look):
    lines = screen(look, Pace(lambda: 0.0), 100, 24, coloured=False)

    assert lines[0] == "night  1 of 4 trials: 1 complete, 2 running"
    assert lines[1] == "best  0.9000  trial 0: lr=0.01 image_size=16 mode=mean"
    assert re.match(r"[0-9a-f]{8} trial    #1 lr=0.01 image_size=16 mode=mean\s+━+─+  37%  30/80", lines[2])
    assert lines[-1].split()[1:3] == ["trial", "#2"]
    assert lines[-1].endswith("queued")


def test_a_paused_sweep_says_in_its_header_how_it_goes_on(look: Look):
    paused = replace(look.view, study=replace(look.view.study, state=StudyState.PAUSED))
    lines = screen(replace(look, view=paused), Pace(lambda: 0.0), 100, 24, coloured=False)

    assert lines[0].endswith("paused")
    assert "adctl sweep resume night" in lines[2]


def test_a_terminal_gets_bars_that_are_gone_at_the_end(adctl, desk: Bench, night: Sweep, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    number = night.ask(POINT)
    night.run(number)
    Script(desk, lambda: night.end(number, 0.9), lambda: night.finish(number=0))
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    from ad_cli.main import run

    assert run(["sweep", "watch", "night"]) == 0
    drawn = terminal.getvalue()
    assert "0 of 4 trials: 1 running" in drawn
    assert "1 of 4 trials: 1 complete" in drawn
    assert drawn.rindex("\x1b[2K") > drawn.rindex("of 4 trials")  # erased
