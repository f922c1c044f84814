"""How fast jobs are submitted: one by one, many at once, and once more under the same keys."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from parts.full_store import Full
from parts.lease_race import submissions

from ad_platform.specs import Submission
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store

ONE_BY_ONE, AT_ONCE = 300, 1000


def rows(empty: Full, full: Full) -> list[list[str]]:
    """Return a row for each way to submit, in jobs a second."""
    with closing(open_store(empty.url)) as one, closing(open_store(full.url)) as other:
        found = []
        for what, way in WAYS:
            before, after = way(one), way(other)
            found.append([what, full.name, f"{before:.0f}/s", f"{after:.0f}/s", f"{after / before:.2f} x"])
        return found


def _single(store: Store) -> float:
    wanted = submissions(ONE_BY_ONE, start=10**9)
    return _rate(ONE_BY_ONE, lambda: [store.jobs.submit([each]) for each in wanted])


def _at_once(store: Store) -> float:
    return _rate(AT_ONCE, lambda: store.jobs.submit(_many()))


def _again(store: Store) -> float:
    def submit() -> None:
        known = {job.id for job in store.jobs.of_keys([str(each.key) for each in _many()]).values()}
        assert {job.id for job in store.jobs.submit(_many())} == known

    return _rate(AT_ONCE, submit)


def _many() -> Sequence[Submission]:
    return submissions(AT_ONCE, start=2 * 10**9)


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return count / (time.monotonic() - began)


WAYS: tuple[tuple[str, Callable[[Store], float]], ...] = (
    ("submit, a transaction each", _single),
    ("submit of 1,000 in one transaction", _at_once),
    ("the same 1,000 keys again", _again),
)
