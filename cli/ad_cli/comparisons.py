"""What `adctl doctor` sets against each other: store, broker, MLflow, Optuna and disk."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from ad_platform.doctor import bundles, clocks, jobs, models, pushed, rings, runs, scraps, sweeps, versions
from ad_platform.doctor.findings import Look
from ad_platform.doctor.ground import Ground
from ad_platform.settings import Settings


def comparing(ground: Ground) -> Sequence[tuple[str, Look]]:
    """Return every look that compares, with what it is about, in the order in which it is told."""
    return (
        ("clock", lambda: clocks.clocks(ground)),
        ("versions", lambda: versions.versions(ground)),
        ("workers", lambda: jobs.workers(ground)),
        ("jobs", lambda: jobs.jobs(ground)),
        ("sweeps", lambda: sweeps.sweeps(ground)),
        ("broker", lambda: rings.rings(ground)),
        ("storage", lambda: bundles.bundles(ground)),
        ("pictures", lambda: pushed.pictures(ground)),
        ("models", lambda: models.models(ground)),
        ("runs", lambda: runs.runs(ground)),
        ("scratch", lambda: scraps.scratch(ground)),
        ("logs", lambda: scraps.logs(ground)),
        ("sockets", lambda: scraps.sockets(ground)),
    )


@contextmanager
def ground_of(settings: Settings, *, deep: bool) -> Iterator[Ground]:
    """Give what the looks stand on, able to take sweeps further where this machine can."""
    from importlib.util import find_spec

    able = find_spec("optuna") is not None
    ground = Ground(settings, deep=deep, advance=(lambda study: _advance(settings, study)) if able else None)
    with closing(ground):
        yield ground


def _advance(settings: Settings, study_id: str) -> bool:
    """Take a sweep further once, as a worker's sweeper does, under the claim that keeps others out."""
    from ad_platform.client import Client
    from ad_workers.sweeping import advancer

    with Client(settings) as client:
        owner = f"doctor-{settings.node}-{secrets.token_hex(3)}"
        return advancer(client, settings, owner).advance(study_id)
