"""Looks at what runs beside adctl: the services of `up`, the broker, the storage, MLflow."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ad_platform.addresses import shown
from ad_platform.doctor.findings import Finding, ok, problem, warning
from ad_platform.doctor.places import existing
from ad_platform.errors import BrokerDown
from ad_platform.settings import Settings
from ad_platform.stack import leftovers, lifecycle, ports
from ad_platform.stack.control import ServiceState
from ad_platform.stack.places import Places
from ad_platform.stack.probes import last_words
from ad_platform.stack.services import DASHBOARD, embeds_broker, embeds_tracking

OLDEST = (6, 2)  # of Redis that the client library speaks to


def stack(settings: Settings) -> Iterator[Finding]:
    """Say how the services of `adctl up` stand, and what an earlier one left behind."""
    found, places = lifecycle.states(settings), Places(settings)
    left = [] if found else leftovers.marked(settings.home)
    if left:
        yield warning(
            "services",
            f"{len(left)} processes of an earlier adctl up are left behind",
            "end them: adctl down",
        )
    elif not found:
        yield warning("services", "none run on this machine", "start them: adctl up")
    up = [one.name for one in found if one.pid]
    if up:
        yield ok("services", f"{', '.join(up)} run under supervisord")
    for one in found:
        if one.state in ("fatal", "backoff"):
            yield _fallen(one, places)
        elif one.state in ("exited", "stopped") and one.name != DASHBOARD:
            yield warning("services", f"{one.name} was told to leave", "start it again: adctl up")
    if found:
        yield from _stale(settings)
    yield from _port(settings, running="mlflow" in up)


def broker(settings: Settings) -> Iterator[Finding]:
    """Say whether the broker answers, is new enough, and keeps what it is given."""
    if embeds_broker(settings) and not Places(settings).broker.exists():
        yield warning("broker", "the one of this machine does not run", "start it: adctl up")
        return
    from ad_platform.queue.facts import broker_facts

    where = shown(settings.broker_url)
    try:
        facts = broker_facts(settings.broker_url)
    except BrokerDown as error:
        remedy = (
            "adctl down, then adctl up" if embeds_broker(settings) else "start it, or check ADCTL_BROKER_URL"
        )
        yield problem("broker", str(error), remedy)
        return
    if facts.version < OLDEST:
        yield problem("broker", f"{facts.program} at {where} is older than 6.2", "install a newer one")
    if facts.evicts:
        yield warning(
            "broker",
            f"{facts.program} at {where} drops wake-ups when its memory is full",
            "set its maxmemory-policy to noeviction",
        )
    if not facts.keeps:
        yield warning(
            "broker",
            f"{facts.program} at {where} forgets wake-ups when it restarts; they come again, later",
            "set its appendonly to yes",
        )
    if facts.version >= OLDEST and facts.keeps and not facts.evicts:
        yield ok("broker", f"{facts.program} at {where} answers")


def storage(settings: Settings) -> Iterator[Finding]:
    """Say whether the storage can be written; a remote one is tried with a file that is removed again."""
    url = settings.storage_url
    protocol, mark, rest = url.partition("://")
    if mark and protocol not in ("file", "local"):
        from ad_platform.storage.engine import open_storage

        remote, probe = open_storage(url), f"doctor/{secrets.token_hex(8)}"
        remote.write(probe, b"adctl doctor")
        remote.remove(probe)
        yield ok("storage", f"{shown(url)} can be written")
        return
    folder = Path(rest if mark else url).expanduser().absolute()
    there = existing(folder)
    if folder.exists() and not folder.is_dir():
        yield problem("storage", f"{folder} is a file", "set ADCTL_STORAGE_URL to a folder")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield problem("storage", f"{there} is not writable for you", "set ADCTL_STORAGE_URL, or its rights")
    else:
        yield ok("storage", f"{folder} can be written" if folder.exists() else f"{folder} can be made")


def _fallen(one: ServiceState, places: Places) -> Finding:
    log = places.logs / f"{one.name}.log"
    return problem("services", f"{one.name} does not run: {last_words(log)}", f"read {log}, then: adctl up")


def _stale(settings: Settings) -> Iterator[Finding]:
    """Say which settings the running services do not have: they keep those that they were started with."""
    with_these = lifecycle.started_with(settings)
    if with_these is None:
        return
    other = [
        name
        for name, value in lifecycle.environment(settings, base={}).items()
        if name.startswith(("ADCTL_", "MLFLOW_TRACKING")) and with_these.get(name, "") != value
    ]
    if other:
        yield warning(
            "services",
            f"they were started with another {', '.join(sorted(other))} than is set here",
            "adctl down, then adctl up",
        )


def _port(settings: Settings, *, running: bool) -> Iterator[Finding]:
    if not embeds_tracking(settings):
        return
    port = ports.kept(Places(settings))
    if running:
        yield ok("port", f"MLflow's pages are on http://127.0.0.1:{port}")
    elif port is not None and not ports.is_free(port):
        yield warning(
            "port", f"{port}, where MLflow's pages were, is taken", "nothing: adctl up takes another one"
        )


def tracking(settings: Settings) -> Iterator[Finding]:
    """Say whether MLflow can be reached with the rights that are set."""
    uri = settings.tracking_uri
    if embeds_tracking(settings):
        file = Path(uri.partition(":///")[2])
        yield ok("mlflow", f"its data lies in {file}" if file.exists() else f"its data will lie in {file}")
    elif uri.startswith(("http://", "https://")):
        from ad_platform.doctor.web import ask_mlflow

        yield ask_mlflow(uri, os.environ)
    elif uri.startswith(("file:", "/", ".")) or "://" not in uri:
        yield problem(
            "mlflow",
            f"MLflow keeps no runs in a folder any more, and MLFLOW_TRACKING_URI is {uri}",
            "set it to sqlite:////FOLDER/mlflow.db or to a server's address",
        )
    else:
        yield ok("mlflow", f"{shown(uri)} is not looked at")
