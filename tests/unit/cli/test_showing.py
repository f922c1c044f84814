"""Promises of `adctl show` and `adctl logs`."""

import json

import pytest

from ad_cli.showing import stored
from ad_platform.errors import StorageDown
from ad_platform.records import Outcome
from ad_platform.settings import load
from ad_platform.states import AttemptOutcome
from ad_platform.storage.logs import LogWriter
from clientkit import Bench


@pytest.fixture
def train(adctl, screw) -> str:
    """The id of a queued job."""
    return str(
        adctl(
            "submit", "train", "-m", "toy", "--data", str(screw), "-S", "lr=0.5", "--no-evaluate", "-q"
        ).out.strip()
    )


def test_show_config_prints_what_submit_reads_back_to_the_same_training(adctl, desk: Bench, train, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(adctl("show", train, "--config").out)

    again = adctl("submit", "train", "--config", str(file), "--no-evaluate", "-q").out.strip()

    assert desk.store.jobs.get(again).spec == desk.store.jobs.get(train).spec
    assert adctl("show", train, "--config", "--json").json["config"]["lr"] == 0.5


def test_show_says_where_the_files_and_the_run_are(adctl, desk: Bench, train):
    lease = desk.lease()
    desk.client.settings = load({"ADCTL_HOME": str(desk.home), "MLFLOW_TRACKING_URI": "http://kim:pw@ml:1/"})
    result = {"bundle": f"jobs/{train}/model/a1"}
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))
    (shipment,) = desk.store.shipments.claim("s", 60.0)

    before = adctl("show", train, "--json").json
    desk.store.shipments.done(shipment, "4711", 0)
    after = adctl("show", train, "--json").json

    assert before["run"] is None
    assert after["run"] == "http://ml:1/#/runs/4711"
    assert after["files"] == f"{desk.home}/storage/jobs/{train}/model/a1"
    assert after["run"] in adctl("show", train).out


def test_the_run_of_a_machine_whose_pages_are_down_has_no_address(desk: Bench, adctl, train):
    desk.store.shipments.done(desk.store.shipments.claim("s", 60.0)[0], "4711", 0)

    called = adctl("show", train, "--json")

    assert (called.code, called.json["run"]) == (0, None)


def test_where_files_lie_is_said_without_what_only_a_program_needs():
    url = load({"ADCTL_STORAGE_URL": "s3://b/x", "ADCTL_STORAGE_OPTIONS": '{"secret": "abc"}'})

    assert stored(url, "jobs/1") == "s3://b/x/jobs/1"


def test_show_puts_the_result_before_the_settings_and_settings_as_they_are_typed(adctl, desk: Bench, train):
    result = {"metrics": {"train/loss": 0.5}}
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))

    said = adctl("show", train).out

    assert said.index("\nresult\n") < said.index("\nattempts\n") < said.index("\nsettings\n")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert {"layers 1", "clip none", "flip false"} <= set(lines)


def test_followed_logs_are_json_line_by_line_with_a_tail(adctl, desk: Bench, train):
    lease = desk.lease()
    writer = LogWriter(desk.client.storage, train, 1)
    writer.append(b"old\nbefore\nhal")

    def work(seconds: float) -> None:
        writer.append(b"f\nafter\n")
        desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED))

    desk.client._pause = work

    called = adctl("logs", train, "-f", "-n", "1", "--json")

    assert [json.loads(line)["line"] for line in called.out.splitlines()] == ["before", "half", "after"]


def test_following_goes_on_when_the_storage_is_back_and_says_once_that_it_was_away(
    adctl, desk: Bench, train, monkeypatch
):
    lease = desk.lease()
    LogWriter(desk.client.storage, train, 1).append(b"one\n")
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED))
    read, down = type(desk.client.storage).read, iter([True, True, False])

    def sometimes(storage, path):
        if next(down, False):
            raise StorageDown("the storage does not answer")
        return read(storage, path)

    monkeypatch.setattr(type(desk.client.storage), "read", sometimes)

    called = adctl("logs", train, "-f")

    assert (called.code, called.out) == (0, "one\n")
    assert called.err.count("the storage does not answer") == 1


def test_without_following_a_storage_that_is_away_is_an_error(adctl, desk: Bench, train, monkeypatch):
    desk.lease()

    def away(storage, path):
        raise StorageDown("the storage does not answer")

    monkeypatch.setattr(type(desk.client.storage), "read", away)

    assert adctl("logs", train).code == 4


def test_ctrl_c_ends_the_following_and_not_the_job(adctl, desk: Bench, train):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.client._pause = interrupt

    called = adctl("logs", train, "-f")

    assert called.code == 130
    assert "it has written nothing yet" in called.err
    assert f"the job goes on: `adctl watch {train[:8]}`" in called.err


def test_show_of_a_job_that_waits_points_to_why(adctl, train):
    assert f"adctl why {train[:8]}" in adctl("show", train).err
    assert adctl("show", train, "-q").out == f"{train} queued\n"
    assert adctl("show", "@LAST", "-q").err == ""


def test_an_attempt_that_was_lost_is_told_without_saying_so_twice(adctl, desk: Bench, train):
    desk.lease(seconds=1e-6)
    adctl("list")
    desk.lease()

    said = adctl("show", train).out

    assert "lost after 0s on w1: the lease of attempt 1" in said
