"""Removes the checkpoints of a running job that it no longer needs."""

from ad_platform.records import Lease
from ad_platform.storage.checkpoints import stored_checkpoints, superseded
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Artifacts


def retain_newest(storage: Storage, artifacts: Artifacts, lease: Lease) -> None:
    """Keep the newest checkpoints of the leased job and remove the others, records first.

    Raises LeaseLost having removed nothing when another attempt holds the job: it may be reading them.
    """
    committed = artifacts.checkpoints(lease.job_id)
    if not committed:
        return
    old = superseded(storage, stored_checkpoints(storage, lease.job_id), trusted=committed[0].prefix)
    if old:
        artifacts.forget_checkpoints(lease, old)
    for prefix in old:
        storage.remove(prefix)
