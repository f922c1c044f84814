"""Promises of the commands that show and steer jobs."""

import json
import re

import pytest

from ad_platform.records import Outcome, Progress
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ad_platform.storage.logs import LogWriter
from clientkit import Bench


@pytest.fixture
def train(adctl, screw) -> str:
    """The id of a queued job."""
    return str(adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip())


def test_list_shows_jobs_newest_first(adctl, train, screw):
    newer = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()

    assert adctl("list", "-q").out.split() == [newer, train]
    assert [job["id"] for job in adctl("list", "--json").json] == [newer, train]
    assert adctl("list", "--limit", "1", "-q").out.split() == [newer]


def test_list_keeps_to_the_states_and_kind_asked_for(adctl, train):
    assert adctl("list", "--state", "failed", "-q").out == ""
    assert adctl("list", "--state", "failed", "--state", "queued", "-q").out.split() == [train]
    assert adctl("list", "--kind", "evaluate", "-q").out == ""


def test_a_table_without_a_terminal_is_plain_and_of_stable_width(adctl, train):
    called = adctl("list")

    header, row = called.out.splitlines()
    assert "\x1b" not in called.out
    assert header.index("STATE") == row.index("queued")
    assert row.startswith(f"{train[:8]}  ")


def test_an_empty_list_says_what_to_do(adctl):
    called = adctl("list")

    assert (called.code, called.out) == (0, "")
    assert "adctl submit train" in called.err


def test_show_tells_settings_attempts_and_events(adctl, desk: Bench, train):
    desk.store.leases.finish(
        desk.lease(),
        Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.NAN, error="the loss is nan"),
    )

    called = adctl("show", train[:5])
    whole = adctl("show", train[:5], "--json").json

    assert "the loss is nan" in called.out
    assert "image_size" in called.out
    assert whole["attempts"][0]["failure"] == "nan"
    assert {"submitted", "leased"} <= {event["kind"] for event in whole["events"]}


EVALUATED = {
    "images": 83,
    "ms_per_image": 12.34,
    "metrics": {
        "test/aupro_30": 0.88,
        "test/image_ap": 0.98,
        "test/image_auroc": 0.94125,
        "test/pixel_auroc": None,
        "validation/image_auroc": 1.0,
        "validation/saturated": 1.0,
        "validation/ties": 0.125,
    },
    "operating_point": {"threshold": 2.5, "rate": 0.05, "normals": 19, "certified": True},
    "observed": {
        "false_alarms": {"count": 6, "images": 20, "rate": 0.3, "low": 0.119, "high": 0.543},
        "found": {"count": 60, "images": 63, "rate": 0.952, "low": 0.867, "high": 0.99},
        "defects": {"broken_large": {"count": 20, "images": 20, "rate": 1.0, "low": 0.832, "high": 1.0}},
    },
    "leak_check": {"passed": False, "pictures": 8, "detail": "a.png scores 1 but then 2"},
    "intervals": {"test/image_auroc": [0.8912, 0.98765]},
    "defects": {
        "contamination": {"image_auroc": 0.9, "pixel_auroc": 0.97, "aupro_30": None},
        "broken_large": {"image_auroc": 1.0, "pixel_auroc": 0.99, "aupro_30": 0.9},
    },
}


def test_show_lays_out_many_measures_with_those_that_matter_first(adctl, desk: Bench, train):
    outcome = Outcome(outcome=AttemptOutcome.SUCCEEDED, result=EVALUATED)
    desk.store.leases.finish(desk.lease(), outcome)

    lines = [" ".join(line.split()) for line in adctl("show", train).out.splitlines()]

    start = lines.index("result")
    assert lines[start + 1 : start + 18] == [
        "test/image_auroc 0.94125 [0.8912, 0.9877]",
        "test/aupro_30 0.88",
        "validation/image_auroc 1",
        "test/image_ap 0.98",
        "validation/saturated 1",
        "validation/ties 0.125",
        "threshold 2.5 at most 5 % false alarms, by 19 normal images",
        "false alarms 6 of 20, 95 % [0.119, 0.543]; more than certified: good test images may be unlike "
        "those held out",
        "found 60 of 63, 95 % [0.867, 0.990]",
        "validation saturated: every pair is ranked right, so a better detector could not show it; 12.5 % of "
        "pairs are ties, which count half",
        "images 83",
        "ms per image 12.34",
        "leak check FAILED: a.png scores 1 but then 2",
        "",
        "DEFECT IMAGE AUROC PIXEL AUROC AUPRO 0.3 AUPRO 0.05 FOUND",
        "broken_large 1.0000 0.9900 0.9000 - 20 of 20",
        "contamination 0.9000 0.9700 - - -",
    ]
    assert adctl("show", train, "--json").json["result"] == EVALUATED


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "watch", "logs", "promote"])
def test_an_unknown_job_is_said_in_one_line(adctl, command):
    called = adctl(command, "abcdef")

    assert called.code == 2
    assert called.err.count("\n") == 1
    assert "abcdef" in called.err


def test_cancel_ends_the_jobs_it_can_find_and_fails_for_the_others(adctl, desk: Bench, train):
    called = adctl("cancel", "nosuchjob", train)

    assert called.code == 2
    assert "nosuchjob" in called.err
    assert desk.store.jobs.get(train).state is JobState.CANCELLED


def test_cancelling_a_running_job_marks_it(adctl, desk: Bench, train):
    desk.lease()

    called = adctl("cancel", train)

    assert called.out == f"{train[:8]}  train toy on parts/screw: cancelling\n"


def test_retry_makes_a_new_job_and_only_of_an_ended_one(adctl, desk: Bench, train):
    too_early = adctl("retry", train)
    adctl("cancel", train)
    new = adctl("retry", train, "-q").out.strip()

    assert too_early.code == 3
    assert desk.store.jobs.get(new).retry_of == train


def test_any_reader_takes_back_what_a_dead_worker_held(adctl, desk: Bench, train):
    desk.lease(seconds=1e-6)

    (job,) = adctl("list", "--json").json

    assert job["state"] == "queued"
    assert job["attempt"] == 1


def test_watch_without_a_terminal_prints_a_line_per_change_and_the_end(adctl, desk: Bench, train):
    lease = desk.lease()
    steps = iter([1, 1, 2])

    def work(seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"loss": 0.5}))
        else:
            desk.store.leases.renew(lease, Progress(step=step, of=2, metrics={"train/loss": 1.0 / step}))

    desk.client._pause = work

    called = adctl("watch", train)

    assert called.code == 0
    assert [line.split("  ")[2] for line in called.err.splitlines() if "/2" in line] == [
        "1/2 (50%)",
        "2/2 (100%)",
    ]
    assert re.fullmatch(
        f"{train[:8]}  train toy on parts/screw: succeeded after [0-9]+s  loss 0.5\n", called.out
    )


def test_watch_json_is_one_line_per_change(adctl, desk: Bench, train):
    desk.client._pause = lambda seconds: desk.store.jobs.cancel(train)

    called = adctl("watch", train, "--json")

    assert called.code == 11
    assert [json.loads(line)["state"] for line in called.out.splitlines()] == ["queued", "cancelled"]


def test_ctrl_c_leaves_a_watched_job_running_and_says_so(adctl, desk: Bench, train):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.client._pause = interrupt

    called = adctl("watch", train)

    assert called.code == 130
    assert f"adctl cancel {train[:8]}" in called.err
    assert desk.store.jobs.get(train).state is JobState.QUEUED


def test_watch_of_a_failed_job_has_an_exit_code_of_its_own(adctl, desk: Bench, train):
    desk.store.leases.finish(
        desk.lease(),
        Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="0.png is broken"),
    )

    called = adctl("watch", train)

    assert called.code == 10
    assert "0.png is broken" in called.out


def test_watching_nothing_ends_at_once(adctl):
    called = adctl("watch")

    assert called.code == 0
    assert "nothing is waiting" in called.err


def test_logs_prints_the_newest_attempt_or_the_one_asked_for(adctl, desk: Bench, train):
    desk.store.leases.give_back(desk.lease(), "drained")
    desk.lease()
    LogWriter(desk.client.storage, train, 1).append(b"first\n")
    newest = LogWriter(desk.client.storage, train, 2)
    newest.append(b"one\ntw")
    newest.append(b"o\nthree\n")

    assert adctl("logs", train).out == "one\ntwo\nthree\n"
    assert adctl("logs", train, "--attempt", "1").out == "first\n"
    assert adctl("logs", train, "--tail", "2").out == "two\nthree\n"
    assert adctl("logs", train, "--tail", "0").out == ""
    assert [json.loads(line)["line"] for line in adctl("logs", train, "--json").out.splitlines()] == [
        "one",
        "two",
        "three",
    ]


def test_following_logs_prints_what_comes_and_ends_with_the_job(adctl, desk: Bench, train):
    lease = desk.lease()
    writer = LogWriter(desk.client.storage, train, 1)
    writer.append(b"before\n")

    def work(seconds: float) -> None:
        writer.append(b"after\n")
        desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED))

    desk.client._pause = work

    assert adctl("logs", train, "-f", "--tail", "1").out == "before\nafter\n"


def test_an_attempt_that_was_never_made_is_named(adctl, train):
    called = adctl("logs", train, "--attempt", "4")

    assert called.code == 2
    assert "no attempt 4; no attempt was made yet" in called.err


def test_promote_by_force_needs_a_reason(adctl, train):
    called = adctl("promote", train, "--force")

    assert called.code == 2
    assert "--reason" in called.err


def test_detectors_are_listed_and_shown_without_any_being_imported(adctl):
    listed = adctl("detectors", "list", "--json").json
    shown = adctl("detectors", "show", "toy").out

    assert "toy" in [entry["name"] for entry in listed]
    assert {"family", "paper", "supervised", "cost"} <= set(listed[0])
    assert re.search(
        r"^NAME +FAMILY +PAPER +SUPERVISED +SUMMARY +PRESETS$", adctl("detectors", "list").out, re.M
    )
    assert "an integer from 8 to 512" in shown
    assert "tiny*" in shown


def test_a_preset_that_depends_on_the_category_is_shown_with_its_source(adctl):
    shown = adctl("detectors", "show", "toy").out

    assert "preset paper: by category, nothing held out; for Screw, carpet" in shown
    assert "from Table 9 of a paper" in shown
    assert re.search(r"^lr +- +by category +0\.01 ", shown, re.MULTILINE)
    assert re.search(r"^image_size +256 +256 +16 ", shown, re.MULTILINE)
    assert "large,paper,tiny" in adctl("detectors", "list").out


def test_workers_are_listed_and_drained(adctl, desk: Bench):
    desk.online("w1")

    assert adctl("worker", "list", "-q").out.split() == ["w1"]
    assert adctl("worker", "drain", "w").code == 0
    assert desk.store.workers.beat("w1") == "draining"
    assert "no worker or node named 'w2'; there are: here, w1" in adctl("worker", "drain", "w2").err


def test_status_shows_jobs_workers_queues_and_disk(adctl, desk: Bench, train):
    desk.online()

    value = adctl("status", "--json").json

    assert value["jobs"]["queued"] == 1
    assert (value["slots"], value["busy"]) == (1, 0)
    assert value["queues"] == {"default": 1}
    assert value["disk_free"] > 0
    assert adctl("status").code == 0


def test_status_with_a_broker_that_is_down_still_shows_the_rest(adctl, desk: Bench, train):
    desk.queue.down = True

    called = adctl("status", "--json")

    assert called.json["queues"] is None
    assert called.json["jobs"]["queued"] == 1
    assert "down" in called.json["trouble"]
