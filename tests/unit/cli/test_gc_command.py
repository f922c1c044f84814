"""Promises of `adctl gc`: it says what goes and why, takes it, and brings it back."""

import os
import re
import time
from pathlib import Path

import pytest

from ad_platform.records import Champion, Outcome
from ad_platform.states import AttemptOutcome, FailureClass
from ad_platform.storage.layout import checkpoint_prefix, model_prefix
from clientkit import Bench

TRAIN = ("submit", "train", "-m", "toy", "--no-evaluate", "-q", "--data")
ALL = ("--older-than", "0s", "--keep-last", "0", "--grace", "0s")


def fitted(adctl, desk: Bench, screw: Path, tmp_path: Path) -> str:
    """Let a job have succeeded, with a checkpoint and a model; the tracking server knows all of it."""
    job = adctl(*TRAIN, str(screw)).out.strip()
    lease = desk.lease()
    folder = tmp_path / "left"
    folder.mkdir(exist_ok=True)
    (folder / "state.bin").write_bytes(b"x" * 5000)
    desk.client.storage.publish(checkpoint_prefix(job, 4, 1), folder, {"step": 4})
    manifest = desk.client.storage.publish(model_prefix(job, 1), folder)
    result = {"bundle": manifest.prefix, "manifest_sha256": manifest.sha256}
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))
    for shipment in desk.store.shipments.claim("t", 1):
        desk.store.shipments.done(shipment, "run", 0)
    return job


def test_a_dry_run_says_what_would_go_and_what_stays_and_why(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    job = fitted(adctl, desk, screw, tmp_path)
    said = adctl("gc", "--dry-run", "--grace", "0s")
    lines = said.out.splitlines()
    assert lines[0].split() == ["WHAT", "NUMBER", "SIZE", "SUCH", "AS"]
    assert lines[1].startswith("take  checkpoint  1")
    assert f"job {job} succeeded, so nothing goes on from it" in lines[1]
    assert lines[2].startswith("keep  model")
    assert re.search(r"5\.\d kB of the storage would go to the trash", said.err)
    whole = adctl("gc", "--dry-run", "--grace", "0s", "--json").json
    assert [(each["kind"], each["kept"]) for each in whole["taken"] + whole["kept"]] == [
        ("checkpoint", False),
        ("model", True),
    ]
    assert whole["bytes"]["taken"] > 5000
    assert adctl("gc", "--dry-run", "--grace", "0s", "-q").out.split() == [checkpoint_prefix(job, 4, 1)]
    assert desk.client.storage.manifest(checkpoint_prefix(job, 4, 1)) is not None


def test_what_is_young_is_left_alone(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    fitted(adctl, desk, screw, tmp_path)
    said = adctl("gc", "--older-than", "0s", "--keep-last", "0")
    assert (said.code, said.out) == (0, "")
    assert "nothing to take" in said.err


def test_what_was_taken_is_listed_refused_and_brought_back(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    job = fitted(adctl, desk, screw, tmp_path)
    taken = adctl("gc", *ALL)
    assert (taken.code, taken.out) == (0, f"jobs/{job}\n")
    assert "went to the trash" in taken.err
    assert "adctl gc restore JOB" in taken.err
    assert desk.client.storage.manifest(model_prefix(job, 1)) is None
    (listed,) = adctl("gc", "trash", "--json").json
    assert (listed["place"], listed["user"]) == (f"jobs/{job}", "kim")
    assert [each["kind"] for each in listed["files"]] == ["checkpoint", "model"]
    assert "checkpoint, model" in adctl("gc", "trash").out
    refused = adctl("submit", "evaluate", job)
    assert refused.code == 3
    assert f"adctl gc restore {job}" in refused.err

    back = adctl("gc", "restore", job[:6])
    assert (back.code, back.out) == (0, f"jobs/{job}\n")
    assert desk.client.storage.manifest(model_prefix(job, 1)) is not None
    assert adctl("gc", "trash").err == "the trash is empty\n"
    assert adctl("submit", "evaluate", job).code == 0


def test_an_emptied_trash_brings_nothing_back(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    job = fitted(adctl, desk, screw, tmp_path)
    adctl("gc", *ALL)
    emptied = adctl("gc", "empty")
    assert emptied.out == f"jobs/{job}\n"
    assert "removed for good" in emptied.err
    assert desk.client.storage.survey() == []
    assert adctl("gc", "restore", job).code == 2
    assert f"adctl submit --from {job}" in adctl("submit", "evaluate", job).err


def test_the_trash_expires(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    fitted(adctl, desk, screw, tmp_path)
    adctl("gc", *ALL)
    assert adctl("gc", "--trash", "1h").code == 0
    assert adctl("gc", "trash", "--json").json != []
    assert "would be removed" in adctl("gc", "--trash", "0s", "--dry-run").err
    assert "of the trash was removed for good" in adctl("gc", "--trash", "0s").err
    assert adctl("gc", "trash", "--json").json == []


def test_why_follows_the_reasons_to_the_root(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    job = fitted(adctl, desk, screw, tmp_path)
    evaluation = adctl("submit", "evaluate", job, "-q").out.strip()
    said = adctl("gc", "--why", job[:7], *ALL).out.splitlines()
    assert said[0].startswith(checkpoint_prefix(job, 4, 1))
    assert said[0].endswith("would go")
    assert said[2].endswith("stays")
    assert said[3:] == [
        f"  because job {evaluation} scores its model",
        f"  because job {evaluation} is queued",
    ]
    desk.store.champions.promote(
        Champion(model="toy-parts-screw", alias="champion", revision=1, job_id=job, user="kim")
    )
    desk.store.jobs.cancel(evaluation)
    (judged,) = adctl("gc", "--why", model_prefix(job, 1), *ALL, "--resumable", "0s", "--json").json
    assert judged["because"] == ["toy-parts-screw@champion: revision 1 carries it"]


def test_only_one_collects_at_a_time(adctl, desk: Bench, screw, tmp_path, monkeypatch):
    monkeypatch.setattr("ad_platform.retention.claiming.PATIENCE", 0.0)
    desk.online()
    fitted(adctl, desk, screw, tmp_path)
    assert desk.store.retention.claim("elsewhere:1:ab", 60)
    said = adctl("gc", *ALL)
    assert (said.code, said.out) == (3, "")
    assert "another collection is under way (elsewhere:1:ab)" in said.err
    dead = f"{desk.client.settings.node}:{2**22 + 1}:ab"  # a process that cannot be
    desk.store.retention.release("elsewhere:1:ab")
    assert desk.store.retention.claim(dead, 60)
    assert adctl("gc", *ALL).code == 0


def aged(path: Path, days: float) -> Path:
    at = time.time() - days * 86400
    os.utime(path, (at, at))
    return path


def test_copies_that_nothing_reads_go_from_this_machine(adctl, desk: Bench, screw, tmp_path):
    desk.online()
    job = fitted(adctl, desk, screw, tmp_path)
    running = adctl(*TRAIN, str(screw)).out.strip()
    desk.lease()
    home = desk.home
    gone, stays = [], []
    for kept, path, days in (
        (False, home / "scratch" / f"{job}-a1" / "x", 2),
        (True, home / "scratch" / f"{running}-a1" / "x", 2),
        (True, home / "scratch" / "somebody's own" / "x", 90),
        (False, home / "cache" / "models" / "abc" / "x", 40),
        (True, home / "cache" / "models" / "def" / "x", 10),
        (False, home / "cache" / "models" / ".begun-1" / "x", 3),
        (False, home / "cache" / "pictures.npy", 40),
        (True, home / "cache" / "others.npy", 10),
        (True, home / "cache" / "fingerprints.json", 400),
        (True, home / "logs" / "jobs" / f"{job}-a1.log", 400),  # its job ended a moment ago
        (True, home / "logs" / "adctl.log", 400),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
        aged(path, days)
        if path.name == "x":
            aged(path.parent, days)
        (stays if kept else gone).append(path)
    told = adctl("gc", "--dry-run", "--json").json["local"]
    assert {each["kind"] for each in told} == {"scratch", "bundle", "pictures"}
    assert "this machine's copies were removed" in adctl("gc").err
    assert [path for path in stays if not path.exists()] == []
    assert [path for path in gone if path.exists()] == []


@pytest.mark.parametrize("width", [80, 120])
def test_a_dry_run_fits_the_terminal(adctl, desk: Bench, screw, tmp_path, monkeypatch, width):
    desk.online()
    fitted(adctl, desk, screw, tmp_path)
    job = adctl(*TRAIN, str(screw)).out.strip()
    outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.NAN, error="nan")
    desk.store.leases.finish(desk.lease(), outcome)
    desk.client.storage.write(f"jobs/{job}/logs/a1/000000.txt", b"nan\n")
    monkeypatch.setattr("ad_cli.out.width", lambda: width)
    lines = adctl("gc", "--dry-run", "--grace", "0s").out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
