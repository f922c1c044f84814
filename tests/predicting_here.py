"""A submitted prediction that is run in this process, as the child of a worker would run it."""

import socket
from collections.abc import Sequence

import torch

from ad_platform.records import Capabilities, Job, Lease, Outcome
from ad_platform.results import result_of
from ad_platform.states import AttemptOutcome
from ad_workers.boottime import boottime
from ad_workers.desk import Desk
from ad_workers.kinds import predict
from ad_workers.link import Link
from ad_workers.messages import Assignment, Done
from clientkit import Bench


def leased(bench: Bench, job: Job) -> Lease:
    """Lease a job as a worker of this node."""
    able = Capabilities(worker="w1", node="here", detectors=frozenset({job.spec.detector}))
    lease = bench.store.leases.lease(able, 60.0, hint=job.id)
    assert lease is not None
    assert lease.job_id == job.id
    return lease


def compute(bench: Bench, lease: Lease, lineage: Sequence[str] = ()) -> Done:
    """Make the attempt of a lease here, and return what it would tell its supervisor."""
    job, settings = lease.job, bench.client.settings
    scratch = settings.home / "scratch" / f"{job.id}-a{lease.attempt}"
    scratch.mkdir(parents=True)
    assert job.spec.source is not None
    assignment = Assignment(
        job_id=job.id,
        attempt=lease.attempt,
        kind=job.kind.value,
        spec=job.spec.to_json(),
        data=job.spec.dataset.path,
        storage_url=settings.storage_url,
        scratch=str(scratch),
        cache=str(settings.home / "cache"),
        fingerprints=str(settings.home / "fingerprints.json"),
        weights=None,
        lineage=(job.id, *lineage),
        source=result_of(bench.store.jobs.get(job.spec.source)).bundle,
        threads=job.spec.threads or 1,
        devices=(),
        deadline=boottime() + 600,
    )
    ours, theirs = socket.socketpair()
    links, threads = (Link(ours), Link(theirs)), torch.get_num_threads()
    try:
        return predict.run(Desk(assignment, job.spec, links[0], bench.client.storage))
    finally:
        torch.set_num_threads(threads)
        for link in links:
            link.close()


def run(bench: Bench, job: Job) -> Job:
    """Make the only attempt of a job, and return the job as it has ended."""
    lease = leased(bench, job)
    done = compute(bench, lease)
    return bench.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=done.result))
