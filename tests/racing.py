"""Forks processes that promote and that tell MLflow, at once, and that die (SIGKILL) at a step they are told.

Run as a program it reads one JSON command a line and answers with how its processes ended: importing MLflow
takes seconds, and forking from a process that has done so takes none.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DONE, REFUSED, OVERTAKEN, BROKEN = 0, 3, 4, 1
KILLED = -signal.SIGKILL
# What a projection does to MLflow and to the store, each of which may be the last thing it does.
STEPS = (
    "create_registered_model",
    "log_artifacts",
    "create_model_version",
    "delete_model_version",
    "set_registered_model_alias",
)


class Racing:
    """The program, as a test talks to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def ask(self, command: dict[str, Any]) -> list[int]:
        """Let processes do something at once, and return how they ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the racing program has died"
        return list(json.loads(answer))


@dataclass(frozen=True)
class Race:
    """Races against one store and storage."""

    program: Racing
    places: dict[str, str]  # the environment that names them

    def trapped(self, trap: str) -> "Race":
        """Return races whose processes meet an armed edge (ad_platform.failpoints)."""
        return Race(self.program, {**self.places, "ADCTL_FAILPOINT": trap})

    def promote(self, jobs: Sequence[str], die_at: int = 0) -> list[int]:
        """Let a process for each job promote it, all at once, and return how they ended."""
        return self._ask("promote", jobs, die_at)

    def project(self, die_at: int = 0, count: int = 1) -> list[int]:
        """Let processes tell MLflow what the store says, dying at a step unless that is 0."""
        return self._ask("project", [""] * count, die_at)

    def _ask(self, what: str, jobs: Sequence[str], die_at: int) -> list[int]:
        return self.program.ask({"do": what, "jobs": list(jobs), "die_at": die_at, "places": self.places})


@contextmanager
def racing(environment: dict[str, str]) -> Iterator[Racing]:
    """Give the program, and end it afterwards."""
    made = Racing(environment)
    try:
        yield made
    finally:
        made.close()


def _main() -> None:
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    from ad_platform.registry import projection, promotion  # noqa: F401
    from ad_platform.store import engine  # noqa: F401
    from ad_platform.tracking import models  # noqa: F401

    for line in sys.stdin:
        command = json.loads(line)
        os.environ.update(command["places"])
        act = _promote if command["do"] == "promote" else _project
        sys.stdout.write(json.dumps(_at_once(act, command["jobs"], command["die_at"])) + "\n")
        sys.stdout.flush()


def _at_once(act: Callable[[str, int], int], jobs: Sequence[str], die_at: int) -> list[int]:
    """Fork a process for each, let all go at the same moment, and wait for them."""
    gate, starter = os.pipe()
    children = [_fork(act, job, die_at, gate, starter) for job in jobs]
    os.close(gate)
    os.close(starter)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _fork(act: Callable[[str, int], int], job: str, die_at: int, gate: int, starter: int) -> int:
    child = os.fork()
    if child:
        return child
    code = BROKEN
    try:
        os.close(starter)
        os.read(gate, 1)  # until the parent lets go
        code = act(job, die_at)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _promote(job: str, die_at: int) -> int:
    from ad_platform.errors import ChampionChanged, GateRefused
    from ad_platform.registry.promotion import promote

    store, storage, _ = _opened()
    _mortal(store.champions, ("promote",), [0], die_at)
    try:
        promote(store, storage, store.jobs.get(job), "champion", f"p{os.getpid()}")
    except GateRefused:
        return REFUSED
    except ChampionChanged:
        return OVERTAKEN
    return DONE


def _project(_: str, die_at: int) -> int:
    from ad_platform.registry.projection import Projection
    from ad_platform.tracking.mlflow import open_tracker
    from ad_platform.tracking.models import MlflowModels

    store, storage, settings = _opened()
    tracker, steps = open_tracker(settings), [0]
    _mortal(tracker.client, STEPS, steps, die_at)
    _mortal(store.champions, ("published",), steps, die_at)
    Projection(store, storage, MlflowModels(tracker))()
    return DONE


def _opened() -> tuple[Any, Any, Any]:
    from ad_platform import settings as environment
    from ad_platform.storage.engine import open_storage
    from ad_platform.store.engine import open_store

    settings = environment.load()
    return open_store(settings.database_url), open_storage(settings.storage_url), settings


def _mortal(thing: object, names: Sequence[str], steps: list[int], die_at: int) -> None:
    """Let a process die just before or just after its n-th call of these methods, as counted in `steps`."""

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            _step(steps, die_at)
            result = call(*arguments, **named)
            _step(steps, die_at)
            return result

        return called

    for name in names:
        setattr(thing, name, dying(getattr(thing, name)))


def _step(steps: list[int], die_at: int) -> None:
    steps[0] += 1
    if steps[0] == die_at:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.path[:] = [*dict.fromkeys([*sys.path, str(Path(__file__).parent)])]
    _main()
