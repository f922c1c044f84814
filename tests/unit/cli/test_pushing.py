"""`adctl data push`, `pull`, `drop` and `--push`: what a person sees, and where jobs may then run."""

import json
from pathlib import Path

import pytest

from ad_platform.records import Capabilities
from clientkit import Bench, make_category

TOY = ("--model", "toy")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    make_category(tmp_path, category="screw")
    make_category(tmp_path, category="nut", test=False)
    return tmp_path / "parts"


def lease_elsewhere(desk: Bench) -> str | None:
    """Lease what a worker gets on a node that has no pictures, and return the job's id."""
    far = Capabilities(worker="far", node="there", detectors=frozenset({"toy"}))
    lease = desk.store.leases.lease(far, 60.0)
    return lease and lease.job_id


def test_a_category_or_all_of_a_dataset_are_pushed_once(adctl, parts: Path) -> None:
    called = adctl("data", "push", str(parts / "screw"))
    assert called.code == 0
    assert called.out.split("  ")[::2] == [
        "parts/screw",
        "4 files, 113 B: all sent\n",
    ]
    every = adctl("data", "push", str(parts), "--json").json
    assert [(each["category"], each["files"], each["sent"]) for each in every] == [
        ("nut", 2, 2),
        ("screw", 4, 0),
    ]
    assert adctl("data", "push", str(parts / "nut"), "-q").out.strip() == every[0]["fingerprint"]


def test_the_list_says_what_was_pushed(adctl, desk: Bench, parts: Path) -> None:
    adctl("data", "push", str(parts / "screw"))
    assert [line.split()[:5] for line in adctl("data", "list").out.splitlines()] == [
        ["CATEGORY", "TRAIN", "TEST", "WORKERS", "PUSHED"],
        ["parts/screw", "-", "-", "-", "113"],
    ]
    (place,) = adctl("data", "list", "--json").json
    assert (place["pushed"][0]["files"], place["pushed"][0]["user"]) == (4, "kim")


def test_a_job_waits_for_its_images_until_they_are_pushed(adctl, desk: Bench, parts: Path) -> None:
    desk.online("far")
    worker = desk.store.workers.roster()[0]
    from dataclasses import replace

    desk.store.workers.register(replace(worker, id="far", node="there"))
    submitted = adctl("submit", "train", *TOY, "--data", str(parts / "screw"), "--no-evaluate", "--json")
    (warning,) = submitted.json["warnings"]
    assert f"push them where they lie, for all workers: adctl data push {parts / 'screw'}" in warning
    job = submitted.json["jobs"][0]["id"]
    assert lease_elsewhere(desk) is None
    assert "adctl data push" in adctl("why", job).out

    adctl("data", "push", str(parts / "screw"))
    assert "nothing keeps it" in adctl("why", job).out
    assert lease_elsewhere(desk) == job


@pytest.mark.parametrize("dry", [True, False])
def test_a_submit_can_push_first(adctl, desk: Bench, parts: Path, dry: bool) -> None:
    asked = (
        "submit",
        "train",
        *TOY,
        "--data",
        str(parts / "screw"),
        "--push",
        *(["--dry-run"] if dry else []),
    )
    called = adctl(*asked)
    assert called.code == 0, called.err
    assert len(desk.store.pushed.all()) == (0 if dry else 1)
    if not dry:
        assert "parts/screw: 4 files, 113 B: all sent" in called.err
        assert lease_elsewhere(desk) is not None


def test_what_was_pushed_is_found_by_name_from_a_machine_without_it(adctl, desk: Bench, parts: Path) -> None:
    adctl("data", "push", str(parts / "screw"))
    (note,) = desk.store.pushed.all()
    called = adctl("submit", "train", *TOY, "--dataset", "parts", "--category", "screw", "--json")
    assert called.code == 0, called.err
    job = desk.store.jobs.get(called.json["jobs"][0]["id"])
    assert (job.spec.dataset.fingerprint, job.spec.dataset.path) == (note.fingerprint, "")
    clone = adctl("submit", "--from", job.id, "--push", "--json")
    assert clone.code == 0, clone.err


def test_what_lies_elsewhere_cannot_be_pushed_from_here(adctl, desk: Bench, parts: Path) -> None:
    from ad_platform.records import Holding

    far = Holding(node="there", fingerprint="f" * 64, dataset="far", category="away", path="/no/such")
    desk.store.workers.hold([far])
    asked = ("--dataset", "far", "--category", "away")
    pushed = adctl("data", "push", *asked)
    assert (pushed.code, pushed.err) == (2, "error: far/away is not on this machine; push it where it lies\n")
    submitted = adctl("submit", "train", *TOY, *asked, "--push")
    assert submitted.code == 2
    assert "it cannot be pushed from here" in submitted.err


def test_it_is_pulled_into_a_folder_and_dropped_when_no_job_needs_it(
    adctl, desk: Bench, parts: Path, tmp_path: Path
) -> None:
    mark = adctl("data", "push", str(parts / "screw"), "-q").out.strip()
    target = tmp_path / "pulled"
    called = adctl("data", "pull", mark[:6], str(target), "--json")
    assert called.code == 0, called.err
    assert (called.json["came"], called.json["files"]) == (4, 4)
    files = {path.relative_to(target).as_posix() for path in target.rglob("*.png")}
    assert files == {
        path.relative_to(parts / "screw").as_posix() for path in (parts / "screw").rglob("*.png")
    }
    assert adctl("data", "pull", "parts/screw", str(target)).err == "4 files, 113 B: 0 came, 4 lay there\n"

    job = json.loads(adctl("submit", "train", *TOY, "--data", str(target), "--no-evaluate", "--json").out)
    refused = adctl("data", "drop", "parts/screw")
    assert refused.code == 3
    assert "needed by a job that has not ended" in refused.err
    desk.store.jobs.cancel(job["jobs"][0]["id"])
    assert adctl("data", "drop", mark[:6]).out.strip() == mark
    assert desk.store.pushed.all() == []
    unknown = adctl("data", "pull", "parts/skrew")
    assert unknown.code == 2
    assert "no pushed category or fingerprint named 'parts/skrew'" in unknown.err
