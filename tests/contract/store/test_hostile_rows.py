"""A spec that is none, as an account with the right to submit may write one, stops no other job."""

import pytest
from sqlalchemy import update

from ad_platform.specs import Json
from ad_platform.store.contract import Store
from ad_platform.store.engine import backend_of
from ad_platform.store.tables import jobs
from store_cases import SPEC, submit, take

GOOD = SPEC.to_json()
BAD: dict[str, Json] = {
    "a list": [],
    "nothing": {},
    "a number": 7,
    "another kind": {**GOOD, "kind": "shell"},
    "no data": {**GOOD, "dataset": None},
    "a path that is none": {**GOOD, "dataset": {**GOOD["dataset"], "path": ["/etc"]}},  # type: ignore[dict-item]
    "a config that is none": {**GOOD, "config": "--rm -rf"},
    "a seed that is none": {**GOOD, "seed": "1; drop"},
    "a source that is none": {**GOOD, "source": {"bundle": "../x"}},
    "pictures that are none": {**GOOD, "pictures": {"count": 1, "nothing": 2, "threshold": 3}, "measures": 3},
}


@pytest.mark.parametrize("spec", BAD.values(), ids=BAD.keys())
def test_a_spec_that_cannot_be_read_is_found_leased_and_steps_aside(
    store: Store, store_url: str, spec: Json
) -> None:
    hostile, good = submit(store, priority=100), submit(store)
    engine = backend_of(store_url).engine()
    with engine.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == hostile.id).values(spec=spec, progress=[1]))
    engine.dispose()

    assert {job.id for job in store.jobs.search()} == {hostile.id, good.id}
    assert store.jobs.get(hostile.id).spec.dataset.path == ""
    assert take(store).job_id == hostile.id  # whose child then finds that it cannot be run
    assert take(store).job_id == good.id
