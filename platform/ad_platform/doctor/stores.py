"""Looks at the store: does it answer, has it this program's schema, is it whole, what do its workers say."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from ad_platform.addresses import shown
from ad_platform.code_version import UNKNOWN, package_version
from ad_platform.devices import Devices
from ad_platform.doctor.findings import Finding, ok, problem, warning
from ad_platform.errors import AdctlError, StoreDown
from ad_platform.records import WorkerRecord
from ad_platform.settings import Settings

CHECKED = 200 << 20  # bytes of a database that are read through in a moment


def store(settings: Settings) -> Iterator[Finding]:
    """Say how the store and its workers stand."""
    file = settings.home / "store.db"
    if settings.embedded and not file.exists():
        yield warning("store", f"there is none in {settings.home} yet", "adctl up makes it")
        return
    if settings.embedded and (damage := damaged(file)):
        yield problem(
            "store", f"{file} is damaged: {damage}", "put a copy in its place, or move it away: adctl up"
        )
        return
    from ad_platform.store.engine import open_store
    from ad_platform.store.revision import HEAD

    try:
        opened = open_store(settings.database_url)
    except StoreDown as error:
        yield problem("store", str(error), "start the database, or check ADCTL_DATABASE_URL")
        return
    except AdctlError as error:  # its words say what to do
        yield problem("store", str(error))
        return
    with closing(opened):
        found, where = opened.schema(), shown(settings.database_url)
        if found == HEAD:
            yield ok("store", f"{where} answers, schema {HEAD} is up to date")
        else:
            words = (
                f"{where} has schema {found}, newer than this adctl's {HEAD}, which may use it all the same"
            )
            yield warning("store", words, "upgrade adctl")
        yield from workers(opened.workers.roster(), settings.node, package_version())


def damaged(file: Path) -> str:
    """Return what is wrong with an SQLite file; empty if nothing is, or it is too big to be read through."""
    try:
        if file.stat().st_size > CHECKED:
            return ""
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # locked, or no rights: whoever opens it next says so
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else " ".join(said.split())


def workers(roster: Sequence[WorkerRecord], node: str, ours: str) -> Iterator[Finding]:
    """Say which workers are online, and which of them run another adctl or cannot use a card they have."""
    online = [worker for worker in roster if worker.state == "online"]
    if not online:
        yield warning("workers", "none is online, so jobs wait", "adctl up, or: adctl worker start")
        return
    names = ", ".join(f"{worker.id} on {worker.node}" for worker in online[:5])
    more = f" and {len(online) - 5} more" if len(online) > 5 else ""
    yield ok("workers", f"{len(online)} online with {sum(one.slots for one in online)} slots: {names}{more}")
    for worker in online:
        theirs = str(worker.facts.get("adctl") or UNKNOWN)
        if UNKNOWN not in (theirs, ours) and theirs != ours:
            yield warning(
                "workers", f"{worker.id} on {worker.node} runs adctl {theirs}, this is {ours}", "restart it"
            )
        for card in Devices.from_facts(worker.facts).cards:
            # What the cards of this machine lack is said where they are looked at.
            if card.problem and worker.node != node:
                said, _, remedy = card.problem.partition("; ")
                yield problem("workers", f"{card.name} on node {worker.node} cannot be used: {said}", remedy)
