"""Sweeps are held against their jobs and against Optuna; an advance under the usual claim puts them right."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy import Table, delete, select, update

import ad_migrations
from ad_platform.doctor.findings import Finding, Level
from ad_platform.doctor.ground import Ground
from ad_platform.doctor.mending import mend
from ad_platform.doctor.sweeps import sweeps
from ad_platform.states import TrialState
from ad_platform.store.engine import backend_of
from ad_platform.store.tables import edges, events, jobs, outbox, shipments, studies, trials
from clientkit import migrated
from sweepkit import SPACE, Field, sums, sweep_field


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ground(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Iterator[Field]:
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        ad_migrations.upgrade(url)
    with sweep_field(template, tmp_path, url) as made:
        yield made


def doctor(ground: Field) -> Ground:
    made = Ground(ground.client.settings, advance=lambda study: ground.advancer("doctor").advance(study))
    made.__dict__["_store"] = ground.store
    return made


def look(ground: Field) -> list[Finding]:
    return [finding for finding in sweeps(doctor(ground)) if finding.level is not Level.OK]


def mends(ground: Field, *identities: tuple[str, str]) -> None:
    assert sorted(finding.identity for finding in look(ground)) == sorted(identities)
    mended = mend(lambda: look(ground), look(ground))
    assert all(each.fixed for each in mended.attempted), mended
    assert mended.found == ()


def sql(ground: Field, *statements: object) -> None:
    engine = backend_of(ground.client.settings.database_url).engine()
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]
    engine.dispose()


def asked(ground: Field, ago: float = 600.0) -> object:
    """Say that all trials were asked for a while ago."""
    return update(trials).values(asked_at=ground.store.now() - ago)


def test_a_sweep_at_work_and_one_that_has_ended_are_in_order(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=4, parallel=2)
    assert look(ground) == []  # nobody has made Optuna's tables yet
    ground.advancer().advance(study.id)
    assert look(ground) == []
    ground.run(study)
    sql(ground, asked(ground))
    assert look(ground) == []


def test_a_trial_that_optuna_was_asked_for_and_nobody_wrote_down_is_told_it_failed(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=3))
    kept = optuna.load_study(study_name=study.name, storage=ground.opened[-1])
    kept.ask()

    mends(ground, ("optuna-trial", f"{study.name}/3"))

    assert ground.in_optuna(study) == {"COMPLETE": 3, "FAIL": 1}
    sums(ground, study)


def test_a_trial_that_ended_in_the_store_alone_is_told_to_optuna(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=2, parallel=1)
    ground.advancer().advance(study.id)
    ground.store.studies.end_trial(study.id, 0, TrialState.FAILED, None, "a hand")

    assert ("optuna-trial", f"{study.name}/0") in [finding.identity for finding in look(ground)]
    mend(lambda: look(ground), look(ground))

    assert ground.in_optuna(study)["FAIL"] == 1
    assert look(ground) == []


def test_a_trial_whose_jobs_ended_or_are_gone_is_taken_further(ground: Field) -> None:
    study = ground.submit("noise_step=50:300:25", "steps=1,2,3", trials=2, parallel=2)
    ground.advancer().advance(study.id)
    ground.work()
    assert look(ground) == []  # a worker may be at it
    key = f"sweep/{study.id}/1/0"
    lost = ground.store.jobs.of_keys([key])[key].id
    hour_ago = ground.store.now() - 3600
    sql(
        ground,
        asked(ground),
        update(jobs).values(finished_at=hour_ago),
        *(
            delete(backed(name)).where(
                backed(name).c.seq == select(jobs.c.seq).where(jobs.c.id == lost).scalar_subquery()
            )
            for name in ("facets", "tags", "measures")
        ),
        *(
            delete(table).where(table.c.job_id == lost)
            for table in (edges, events, outbox, shipments, backed("attempts"))
        ),
        delete(jobs).where(jobs.c.id == lost),
    )

    mends(ground, ("trial-left-over", f"{study.name}/0"), ("trial-left-over", f"{study.name}/1"))

    ended = {trial.number: trial.state for trial in ground.store.studies.trials(study.id)}
    assert (ended[0], ended[1]) == (TrialState.COMPLETE, TrialState.FAILED)


def backed(name: str) -> Table:
    from ad_platform.store.tables import metadata

    return metadata.tables[name]


def test_what_optuna_lost_is_added_again(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=3))
    other = ground.run(ground.submit(*SPACE, trials=2))
    optuna.delete_study(study_name=study.name, storage=ground.opened[-1])
    optuna.create_study(study_name=study.name, storage=ground.opened[-1], direction="maximize")

    mends(ground, ("optuna-lacks", study.name))

    assert ground.in_optuna(study) == {"COMPLETE": 3}
    assert ground.in_optuna(other) == {"COMPLETE": 2}


def test_a_study_of_nobody_is_named_and_left(ground: Field) -> None:
    ground.run(ground.submit(*SPACE, trials=2))
    optuna.create_study(study_name="mine", storage=ground.opened[-1])
    (found,) = look(ground)
    assert (found.kind, found.subject, found.mending) == ("study-of-nobody", "mine", None)
    assert "mine" in [each.study_name for each in ground.opened[-1].get_all_studies()]


def test_a_claim_of_the_dead_is_released_and_one_that_holds_is_left(ground: Field) -> None:
    study, other = ground.submit(*SPACE, trials=2), ground.submit(*SPACE, trials=2)
    assert ground.store.studies.claim(study.id, "dead", 0.001)
    assert ground.store.studies.claim(other.id, "alive", 600.0)
    sql(ground, update(studies).where(studies.c.id == study.id).values(owned_until=ground.store.now() - 600))

    mends(ground, ("stale-claim", study.id))

    assert [claim.owner for claim in ground.store.audit.claimed_studies()] == ["alive"]


def test_a_sweep_that_somebody_claims_meanwhile_is_left_to_him(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=2))
    optuna.load_study(study_name=study.name, storage=ground.opened[-1]).ask()
    (found,) = look(ground)
    assert ground.store.studies.claim(study.id, "alive", 600.0)
    assert found.mending is not None
    with pytest.raises(Exception, match="somebody else is taking"):
        found.mending.do()
    assert look(ground) == []


@pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
def test_tables_of_another_optuna_are_a_problem(ground: Field) -> None:
    ground.run(ground.submit(*SPACE, trials=2))
    with closing(sqlite3.connect(ground.bench.home / "optuna.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    (found,) = look(ground)
    assert (found.level, found.kind, found.mending) == (Level.PROBLEM, "optuna-revision", None)
    assert "revision v9.0.0.a" in found.words
