"""Follows jobs to what stands for them now: their retries, and the retries of those."""

from collections.abc import Mapping

from ad_platform.records import Job
from ad_platform.store.contract import Store

AT_ONCE = 1000  # keys in one question


def newest(store: Store, jobs: Mapping[str, Job]) -> dict[str, Job]:
    """Return, under the same names, the newest retry of each job; a job never retried stands for itself."""
    found = dict(jobs)
    open_ = dict(found)
    while open_:
        keys = {f"retry:{job.id}": name for name, job in open_.items()}
        later = of_keys(store, list(keys))
        open_ = {keys[key]: job for key, job in later.items()}
        found |= open_
    return found


def of_keys(store: Store, keys: list[str]) -> dict[str, Job]:
    """Return the jobs of any number of submit keys by key."""
    found: dict[str, Job] = {}
    for start in range(0, len(keys), AT_ONCE):
        found |= store.jobs.of_keys(keys[start : start + AT_ONCE])
    return found
