"""Sweeps on PostgreSQL, where Optuna keeps its tables in a schema of their own in the same database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

import ad_migrations
from ad_platform import settings as environment
from ad_platform.states import StudyState
from ad_platform.store.neighbours import has_table
from ad_platform.sweeps.optuna_study import close_storage, open_storage, storage_url
from services import PostgresServer
from sweepkit import Field, sweep_field

pytestmark = pytest.mark.postgres


@pytest.fixture
def ground(template: Path, tmp_path: Path, postgres_url: str) -> Iterator[Field]:
    ad_migrations.upgrade(postgres_url)
    with sweep_field(template, tmp_path, postgres_url) as made:
        yield made


def test_a_sweep_comes_to_its_end_and_the_two_do_not_share_a_table(ground: Field) -> None:
    study = ground.run(ground.submit("noise_step=50:300:25", "w=0:12", trials=8, parallel=3))
    assert study.state is StudyState.FINISHED
    assert ground.in_optuna(study) == {"COMPLETE": 8}
    assert "options=-csearch_path%3Doptuna" in storage_url(ground.client.settings)
    assert not list(ground.bench.home.glob("*optuna*.db"))


def test_optuna_may_have_a_database_of_its_own(
    template: Path, tmp_path: Path, postgres_url: str, postgres: PostgresServer
) -> None:
    ad_migrations.upgrade(postgres_url)
    own = postgres.new_database()
    settings = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_OPTUNA_URL": own})
    storage = open_storage(settings)
    try:
        assert storage_url(settings) == own.replace("postgresql", "postgresql+psycopg")
        assert has_table(storage_url(settings), "studies", own)
        assert not has_table(
            storage_url(replace(settings, optuna_url="", database_url=postgres_url)), "studies", ""
        )
    finally:
        close_storage(storage)
        postgres.drop(own)


def test_several_that_advance_at_once_ask_for_no_trial_twice(ground: Field) -> None:
    study = ground.submit("noise_step=50:300:25", "w=0:12", trials=30, parallel=6)
    owners = [ground.advancer(name) for name in ("a", "b", "c")]
    for _ in range(200):
        threads = [Thread(target=owner.advance, args=(study.id,)) for owner in owners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ground.work()
        if ground.store.studies.get(study.id).state is StudyState.FINISHED:
            break
    assert ground.in_optuna(study) == {"COMPLETE": 30}
    numbers = [trial.number for trial in ground.store.studies.trials(study.id)]
    assert numbers == list(range(30))
    assert sum(job.name.endswith("training") for job in ground.trained) == 1
