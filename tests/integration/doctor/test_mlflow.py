"""MLflow's runs and aliases are held against the store, and what differs is told again, never deleted."""

from typing import Any

import pytest

from ad_platform.doctor.findings import Level
from ad_platform.records import Champion, Job
from ad_platform.registry.projection import project
from ad_platform.results import result_of
from ad_platform.tracking.facts import JOB_TAG
from ad_platform.tracking.mlflow import open_tracker
from ad_platform.tracking.models import MlflowModels
from mlflow_home import QUIET
from ward import Ward

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]


def client(ward: Ward) -> Any:
    return open_tracker(ward.settings).client


def run_of(ward: Ward, job: Job) -> str:
    run = ward.store.shipments.run_of(job.id)
    assert run
    return run


def status(ward: Ward, run: str) -> str:
    return str(client(ward).get_run(run).info.status)


def test_runs_that_say_what_their_jobs_say_are_in_order(ward: Ward) -> None:
    ward.stories.trained(None)
    ward.stories.lease(ward.stories.submit())
    waiting = ward.stories.submit()
    ward.ship_all()
    ward.wait(1000)
    ward.store.leases.reap()  # one is queued again, and its run stays as it is
    ward.ship_all()
    assert ward.look("runs") == []
    assert ward.store.shipments.run_of(waiting.id) == ""


def test_a_run_that_never_ended_is_shipped_again(ward: Ward) -> None:
    job = ward.stories.trained(None)
    ward.ship_all()
    run = run_of(ward, job)
    client(ward).update_run(run, status="RUNNING")

    mended = ward.mends(("run-without-end", job.id), names=["runs"])

    assert mended.attempted[0].said == "was shipped"
    assert status(ward, run) == "FINISHED"


def test_a_run_that_was_ended_while_its_job_goes_on_is_opened_again(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.stories.lease(job)
    ward.ship_all()
    client(ward).set_terminated(run_of(ward, job), "KILLED")

    ward.mends(("run-ended-early", job.id), names=["runs"])

    assert status(ward, run_of(ward, job)) == "RUNNING"


def test_a_job_whose_run_was_deleted_is_shipped_anew_without_doubled_points(ward: Ward) -> None:
    job = ward.stories.trained(None)
    ward.ship_all()
    client(ward).delete_run(run_of(ward, job))

    ward.mends(("job-without-run", job.id), names=["runs"])

    points = client(ward).get_metric_history(run_of(ward, job), "train/loss")
    assert [point.step for point in points] == [1, 2, 3, 4]


def test_a_job_that_nobody_shipped_is_shipped(ward: Ward) -> None:
    job = ward.stories.trained(None)
    assert ward.look("runs") == []  # it has only just ended
    ward.wait(600)

    ward.mends(("late-shipment", job.id), names=["runs"])

    assert status(ward, run_of(ward, job)) == "FINISHED"


def test_a_job_that_another_shipper_holds_is_left_to_it(ward: Ward) -> None:
    ward.stories.trained(None)
    ward.wait(600)
    (found,) = ward.look("runs")
    assert ward.store.shipments.claim("other", 60.0)
    assert found.mending is not None
    with pytest.raises(Exception, match="another shipper has claimed it"):
        found.mending.do()


def test_a_run_of_an_unknown_job_and_a_doubled_one_are_named_and_left(ward: Ward) -> None:
    job = ward.stories.trained(None)
    ward.ship_all()
    known = client(ward).get_run(run_of(ward, job))
    place = known.info.experiment_id
    stranger = client(ward).create_run(place, tags={JOB_TAG: "feedbeef"}).info.run_id
    client(ward).create_run(place, tags={JOB_TAG: job.id})
    client(ward).create_run(place, tags={"mlflow.user": "ann"})  # a person's own

    found = {finding.kind: finding for finding in ward.look("runs")}

    assert set(found) == {"run-of-no-job", "doubled-run"}
    assert found["run-of-no-job"].subject == stranger
    assert "feedbeef" in found["run-of-no-job"].words
    assert known.info.run_id in found["doubled-run"].remedy
    assert all(finding.mending is None for finding in found.values())
    assert len(client(ward).search_runs([place])) == 4


def test_old_jobs_are_compared_only_by_a_deep_look(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ward.stories.trained(None)
    ward.ship_all()
    client(ward).delete_run(run_of(ward, old))
    new = ward.stories.trained(None)
    ward.ship_all()
    monkeypatch.setattr("ad_platform.doctor.ground.NEWEST", 1)
    assert ward.look("runs") == []
    said = [finding.words for _, look in ward.looks("runs") for finding in look()]
    assert said == ["not looked at: runs of all but the 1 newest jobs (--deep)"]
    client(ward).update_run(run_of(ward, new), status="RUNNING")
    assert ward.kinds("runs") == [("run-without-end", new.id)]
    ward.ground = ward.new_ground(deep=True)
    assert ward.kinds("runs") == sorted([("run-without-end", new.id), ("job-without-run", old.id)])


def promoted(ward: Ward, job: Job, revision: int = 1) -> Champion:
    champion = Champion(
        model="ddad-mvtec-bottle", alias="champion", revision=revision, job_id=job.id, user="ann"
    )
    return ward.store.champions.promote(champion)


def test_an_alias_that_points_elsewhere_or_is_gone_is_set_to_what_the_store_decided(ward: Ward) -> None:
    champion = promoted(ward, ward.stories.trained(None))
    registry = MlflowModels(open_tracker(ward.settings))
    assert ward.look("models") == []  # decided a moment ago
    ward.wait(600)
    named = "ddad-mvtec-bottle@champion"
    ward.mends(("other-alias", named), names=["models"])
    first = registry.alias_of(champion)

    promoted(ward, ward.stories.trained(None), 2)
    project(ward.store, ward.storage, registry)
    assert ward.look("models") == []
    client(ward).set_registered_model_alias(champion.model, "champion", first)
    assert "has it on version 1, not 2" in ward.look("models")[0].words
    ward.mends(("other-alias", named), names=["models"])
    assert registry.alias_of(champion) == "2"

    client(ward).delete_registered_model_alias(champion.model, "champion")
    ward.mends(("other-alias", named), names=["models"])


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_champion_whose_model_is_not_whole_is_a_problem_nobody_can_mend(ward: Ward, damage: str) -> None:
    job = ward.stories.trained(None)
    promoted(ward, job)
    bundle = result_of(job).bundle
    assert bundle
    if damage == "missing":
        ward.storage.remove(bundle)
    else:
        (file,) = (ward.folder / "storage" / bundle).rglob("state.safetensors")
        file.write_text("weighty")

    (found,) = ward.look("models")

    assert (found.level, found.kind, found.mending) == (Level.PROBLEM, "lost-model", None)
    assert job.id in found.words
    assert ("state.safetensors has changed" if damage == "corrupt" else "manifest.json") in found.words
    assert "adctl models rollback ddad-mvtec-bottle@champion" in found.remedy
