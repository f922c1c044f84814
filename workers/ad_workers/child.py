"""The process that makes one attempt: forked by the zygote, watched by a supervisor, alone with its work."""

import importlib
import os
import socket
import sys
import traceback

from ad_platform.failpoints import enter_child
from ad_platform.redaction import Redactor
from ad_platform.specs import JobSpec
from ad_platform.states import JobKind
from ad_platform.storage.engine import open_storage
from ad_workers.desk import Desk, Stop
from ad_workers.exits import Exit, classify
from ad_workers.link import Link
from ad_workers.messages import Assignment, Failed, Note, decode
from ad_workers.team import Team
from ad_workers.witness import Witness

MEASURING = (JobKind.EVALUATE, JobKind.TRIAL)
FITTING = (JobKind.TRAIN, JobKind.TRIAL)


def main(assignment_line: str, end: socket.socket) -> int:
    """Make the attempt and return the exit code; every failure is told before."""
    assignment = decode(assignment_line.encode())
    assert isinstance(assignment, Assignment)
    enter_child()
    link = Link(end)
    try:
        _run(assignment, link)
    except Stop as stop:
        print(f"stopped: {stop}", flush=True)  # noqa: T201 - the attempt's log
        return stop.code
    except Exception as error:  # noqa: BLE001 - the outermost edge of the child: every failure gets a class
        return _failed(link, error, assignment.storage_url)
    return Exit.DONE


def _failed(link: Link, error: Exception, storage_url: str) -> Exit:
    """Tell why an attempt failed, with what little memory may be left."""
    traceback.clear_frames(error.__traceback__)  # what these held is perhaps what there was too much of
    try:
        # Others read the log and the job's record, and an error may repeat an address with its keys.
        redacted = Redactor({**os.environ, "storage": storage_url})
        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
        link.send(Failed(failure=classify(error), error=redacted(_one_line(error))))
    except MemoryError:
        return Exit.NO_MEMORY
    return Exit.FAILED


def _run(assignment: Assignment, link: Link) -> None:
    if assignment.cuda is not None:
        # Before CUDA starts in this process; the zygote never starts it.
        os.environ["CUDA_VISIBLE_DEVICES"] = assignment.cuda
    spec = JobSpec.from_json(assignment.spec)
    # Before anything starts a thread or opens a picture.
    witness = Witness.fork() if spec.kind in MEASURING else None
    team = _team(assignment.ranks) if spec.kind in FITTING else None
    try:
        desk = Desk(assignment, spec, link, open_storage(assignment.storage_url), witness, team)
        desk.obey()  # it may have been cancelled while the zygote was loading
        kind = importlib.import_module(f"ad_workers.kinds.{spec.kind.value}")
        done = kind.run(desk)
        desk.say(Note(facts={**importlib.import_module("ad_workers.vitals").peaks()}))
        desk.say(done)
    finally:
        for other in (witness, team):
            if other is not None:
                other.close()


def _team(ranks: int) -> Team | None:
    if ranks == 1:
        return None
    from ad_workers.ranking import take_part

    return Team.fork(ranks, take_part)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    named = type(error).__module__.startswith(("ad_detectors", "ad_platform"))
    kind = type(error).__name__
    return (text if named and text else f"{kind}: {text}" if text else kind)[:2000]
