"""How jobs, names and times are called in an explanation."""

import time
from collections.abc import Sequence

from ad_platform.history import span
from ad_platform.records import Job

NAMED = 3  # of many names


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Return names in a row, the many only counted."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def work(job: Job) -> str:
    """Say what a job does, and how far it has come if it runs."""
    data, done = job.spec.dataset, job.progress
    words = f"{job.kind} {job.spec.detector} on {data.dataset}/{data.category}"
    return f"{words}, step {done.step} of {done.of}" if done.of and not job.state.terminal else words


def moment(at: float, now: float) -> str:
    """Return a time of the store's clock in local time; the day only where it is another one."""
    day = "%Y-%m-%d "
    then, today = time.localtime(at), time.localtime(now)
    other = time.strftime(day, then) != time.strftime(day, today)
    return time.strftime((day if other else "") + "%H:%M:%S", then)


def ago(at: float, now: float) -> str:
    """Return how long ago something was."""
    return f"{span(now - at)} ago" if now - at >= 1 else "just now"


def because(error: str) -> str:
    """Return an error after a colon, or nothing."""
    line = " ".join(error.split())
    return f": {line}" if line else ""
