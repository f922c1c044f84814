"""Removes the checkpoints of a running job that it no longer needs."""

from ad_platform.records import Lease
from ad_platform.storage.checkpoints import abandoned, stored_checkpoints, superseded
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store


def retain_newest(storage: Storage, store: Store, lease: Lease) -> None:
    """Keep the newest checkpoints of the leased job and remove the others, records first.

    The attempt's own newest one, which was whole when it was recorded, and the one before it on the way to it
    are kept. Those of earlier attempts that it passed over go: they are broken, or of a branch that was left,
    and would otherwise count among the newest. Raises LeaseLost having removed nothing when another attempt
    holds the job: it may be reading them.
    """
    committed = store.artifacts.checkpoints(lease.job_id)
    own = next((record.prefix for record in committed if record.attempt == lease.attempt), None)
    if own is None:
        return
    stored = stored_checkpoints(storage, lease.job_id)
    left = abandoned({*stored, *(record.prefix for record in committed)}, lease.attempt, _began(store, lease))
    branch = [prefix for prefix in stored if prefix not in left]
    old = [*left, *superseded(storage, branch, trusted=own)]
    if old:
        store.artifacts.forget_checkpoints(lease, old)
    for prefix in old:
        storage.remove(prefix)


def _began(store: Store, lease: Lease) -> str | None:
    """Return the checkpoint that the lease's attempt goes on from."""
    attempts = store.jobs.attempts(lease.job_id)
    return next((each.resumed_from for each in reversed(attempts) if each.number == lease.attempt), None)
