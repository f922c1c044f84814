"""Where the pages of sweeps are: of this machine's dashboard, which is started when they are asked for."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec

from ad_platform.errors import MissingExtra, Unavailable
from ad_platform.settings import Settings
from ad_platform.stack import lifecycle
from ad_platform.stack.control import Control, ServiceState
from ad_platform.stack.dashboard import kept
from ad_platform.stack.places import Places
from ad_platform.stack.probes import last_words
from ad_platform.stack.services import DASHBOARD

Tell = Callable[[str], None]
PATIENCE = 90.0  # seconds to load Optuna on a busy machine
TRIES = 3  # processes that ended at once; supervisord goes on for a minute
ASKED_WITHIN = 10.0  # seconds for an answer of the dashboard


def running(settings: Settings) -> str | None:
    """Return the address of the pages if they run."""
    return _address(settings, _state(lifecycle.states(settings)))


def address(settings: Settings, tell: Tell = lambda words: None) -> str:
    """Return the address of the pages, starting them first where they do not run.

    Raises Unavailable where the services of this machine do not run, or the dashboard does not start.
    """
    states = lifecycle.states(settings)
    if not states:
        raise Unavailable(
            "the services of this machine do not run; start them: adctl up (of a cluster, open the page of "
            "its service optuna-dashboard)"
        )
    state = _state(states)
    if state is None:
        if find_spec("optuna_dashboard") is None:
            raise MissingExtra("Optuna's dashboard", "worker")
        raise Unavailable(
            "the services that run know no pages of sweeps; start them anew: adctl down, adctl up"
        )
    if found := _address(settings, state):
        return found
    control = Control(Places(settings).control)
    if state.state in lifecycle.DOWN:
        control.start(DASHBOARD)
    tell("starting Optuna's dashboard")
    return _await(settings, control)


def study_address(base: str, name: str) -> str | None:
    """Return the address of one sweep's page; None where Optuna does not know the sweep yet."""
    try:
        with urllib.request.urlopen(f"{base}/api/studies", timeout=ASKED_WITHIN) as answer:  # noqa: S310 - ours
            known = json.load(answer)["study_summaries"]
    except (OSError, urllib.error.URLError, ValueError, KeyError):
        return None
    found = [study["study_id"] for study in known if study["study_name"] == name]
    return f"{base}/dashboard/studies/{found[0]}" if found else None


def _await(settings: Settings, control: Control) -> str:
    end, tried = time.monotonic() + PATIENCE, set[int]()
    log = Places(settings).logs / f"{DASHBOARD}.log"
    while time.monotonic() < end:
        state = _state(control.states())
        if found := _address(settings, state):
            return found
        if state is not None:
            tried |= {state.pid} - {0}
        if state is None or state.state == "fatal" or len(tried) > TRIES:
            break
        time.sleep(0.1)
    raise Unavailable(f"Optuna's dashboard does not start: {last_words(log)} (more in {log})")


def _state(states: list[ServiceState]) -> ServiceState | None:
    return next((state for state in states if state.name == DASHBOARD), None)


def _address(settings: Settings, state: ServiceState | None) -> str | None:
    """Return where the process that runs now listens; None until it has said so itself."""
    told = kept(Places(settings))
    if state is None or told is None or not state.pid or told.pid != state.pid:
        return None
    return f"http://127.0.0.1:{told.port}"
