"""The sweeper's process: takes sweeps and benchmarks further while there are any and its worker lives."""

import argparse
import logging
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache

from ad_platform import settings as environment
from ad_platform import structured_logs
from ad_platform.client import Client
from ad_platform.errors import AdctlError
from ad_platform.lifeline import Stop, leave_requests_to_the_holder
from ad_platform.records import Study
from ad_platform.settings import Settings
from ad_platform.specs import Json
from ad_platform.sweeps.advancing import Advancer
from ad_platform.sweeps.concluding import Conclusion
from ad_platform.sweeps.optuna_study import OptunaStudy, open_storage, storage_url
from ad_platform.sweeps.study_spec import StudySpec
from ad_workers.benchmarking.following import Follower

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between two looks, unless there is news
AT_ONCE = 0.2  # seconds until the next look where somebody else was at it
LONGEST_PAUSE = 30.0  # while something cannot be reached
IDLE = 30.0  # seconds without any sweep after which it ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sweeper and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ad_workers.sweeping", description=__doc__)
    parser.add_argument("--lifeline", type=int, help="file descriptor of a pipe; its end ends the sweeper")
    given = parser.parse_args(arguments)
    structured_logs.configure("%(asctime)s sweeper %(levelname)s %(message)s", level=logging.INFO)
    structured_logs.always(program="sweeper")
    stop = Stop()
    if given.lifeline is None:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    else:
        leave_requests_to_the_holder()
        stop.at_end_of(given.lifeline)
    try:
        run(environment.load(), stop)
    except AdctlError as error:
        log.error("%s", error)
        return 1
    return 0


def run(settings: Settings, stop: Stop) -> None:
    """Take sweeps and benchmarks further until told to stop, or until there was none for a while."""
    idle, trouble = 0.0, PAUSE
    with Client(settings) as client:
        owner = f"{settings.node}-{os.getpid()}-{secrets.token_hex(3)}"
        advance = advancer(client, settings, owner)
        follower = Follower(client.store, client.storage, owner)
        while not stop.asked and idle < IDLE:
            try:
                studies = [study.id for study in client.store.studies.to_advance()]
                studies += sorted(advance.lost - set(studies))
                claimed = [advance.advance(study) for study in studies]
                benchmarks = client.store.benchmarks.to_follow()
                busy = [follower.follow(benchmark) for benchmark in benchmarks]
                client.ring()
            except Exception as error:  # the outermost edge: whatever it was, the next round may do better
                known = isinstance(error, AdctlError)
                log.log(logging.WARNING if known else logging.ERROR, "%s", error, exc_info=not known)
                stop.wait(trouble)
                trouble = min(2 * trouble, LONGEST_PAUSE)
                continue
            trouble = PAUSE
            pause = AT_ONCE if any(busy) or not all(claimed) else PAUSE
            idle = 0.0 if studies or benchmarks else idle + pause
            stop.wait(pause, news=True)


def advancer(client: Client, settings: Settings, owner: str) -> Advancer:
    """Return what takes sweeps further in the name of this process."""
    storage = cache(lambda: open_storage(settings))
    return Advancer(
        store=client.store,
        owner=owner,
        entry=lambda name: client.catalogue().entry(name),  # a worker may have published it since
        open=lambda study, spec: OptunaStudy(storage(), study, spec, storage_url(settings)),
        conclude=Conclusion(client.store, lambda study, spec: _flattered(client, study, spec)),
    )


def _flattered(client: Client, study: Study, spec: StudySpec) -> Mapping[str, Json] | None:
    """Return how much the choice of the best trial flatters, where its scores can tell."""
    from ad_workers.selection import flattery

    found = flattery(client.store, client.storage, study, spec)
    return None if found is None else asdict(found)


if __name__ == "__main__":
    raise SystemExit(main())
