"""Jobs whose files were collected: what needs those files is refused, so that nothing leads nowhere."""

import time
from collections.abc import Collection, Sequence

from sqlalchemy import select

from ad_platform.errors import Collected
from ad_platform.states import CollectedState
from ad_platform.store.database import Transaction
from ad_platform.store.tables import collected, jobs

AWAY = (CollectedState.CONDEMNED, CollectedState.TRASHED, CollectedState.PURGED)
GONE = (CollectedState.TRASHED, CollectedState.PURGED)  # what is condemned may yet be spared
RESTORABLE = (CollectedState.CONDEMNED, CollectedState.TRASHED)
_AT_ONCE = 500


def place_of(job_id: str) -> str:
    """Return what a job's mark is called by."""
    return f"jobs/{job_id}"


def refuse(tx: Transaction, job_ids: Collection[str], states: Sequence[CollectedState] = AWAY) -> None:
    """Raise Collected if the files of one of these jobs were collected, or are about to be.

    The jobs stay locked until the transaction ends: a collection that begins meanwhile waits, and then sees
    what was written.
    """
    ids = sorted(set(job_ids))
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        tx.rows(select(jobs.c.id).where(jobs.c.id.in_(some)).order_by(jobs.c.id).with_for_update(read=True))
        marked = select(collected).where(
            collected.c.place.in_([place_of(each) for each in some]), collected.c.state.in_(states)
        )
        row = tx.first(marked.order_by(collected.c.place).limit(1))
        if row is not None:
            raise Collected(_words(row.place.removeprefix("jobs/"), row.state, row.at))


def _words(job_id: str, state: CollectedState, at: float) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(at))
    if state is CollectedState.PURGED:
        return f"the files of job {job_id} were removed on {day}; run it again: adctl submit --from {job_id}"
    return f"the files of job {job_id} lie in the trash since {day}: adctl gc restore {job_id}"
