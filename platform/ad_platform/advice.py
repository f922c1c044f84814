"""Why a queued job could stay queued: which workers are missing for it, and how to start one."""

from collections.abc import Sequence

from ad_platform.records import Holding, Job, WorkerRecord


def advise(job: Job, roster: Sequence[WorkerRecord], holdings: Sequence[Holding]) -> str | None:
    """Say in one line why no online worker could take a job, and what to do; None if one could.

    `holdings` are those of the job's dataset, on whatever node.
    """
    workers = [worker for worker in roster if worker.state == "online"]
    if not workers:
        return "no worker is online, so the job waits; start one with: adctl worker start (or adctl up)"
    serving = [worker for worker in workers if job.queue in worker.queues]
    if not serving:
        return (
            f"no online worker serves the queue '{job.queue}'; start one with: "
            f"adctl worker start --queues {job.queue}"
        )
    able = [worker for worker in serving if job.spec.detector in worker.detectors]
    if not able:
        return (
            f"no online worker of the queue '{job.queue}' has the detector '{job.spec.detector}'; "
            f"install it where a worker runs and restart it: adctl worker start"
        )
    return _about_data(job, able, holdings)


def _about_data(job: Job, able: Sequence[WorkerRecord], holdings: Sequence[Holding]) -> str | None:
    data = job.spec.dataset
    nodes = {holding.node for holding in holdings if holding.fingerprint == data.fingerprint}
    if any(worker.node in nodes for worker in able):
        return None
    here = ", ".join(sorted({worker.node for worker in able}))
    there = f"they lie on {', '.join(sorted(nodes))}" if nodes else "no node has reported them"
    return (
        f"the images of {data.dataset}/{data.category} are not on a node with a fitting worker ({here}), "
        f"{there}; start one where they lie, or copy them below ADCTL_DATA first: adctl worker start"
    )
