"""Compares the versions of what works together: workers, the catalogue, MLflow and its server."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from ad_platform import catalogue
from ad_platform.doctor.findings import Finding, Level, ok
from ad_platform.doctor.ground import Ground
from ad_platform.records import WorkerRecord
from ad_platform.specs import Json

ABOUT = "versions"
COMPARED = ("torch", "python")  # of workers: a job may go on on another one


def versions(ground: Ground) -> Iterator[Finding]:
    """Say which workers run other programs than the rest, and which detectors are described otherwise."""
    store = ground.store
    if store is not None:
        online = [worker for worker in store.workers.roster() if worker.state == "online"]
        yield from mixed(online)
        yield from described(store.workers.catalogue(), catalogue.built_in())
    yield from _mlflow(ground)


def mixed(workers: Sequence[WorkerRecord]) -> Iterator[Finding]:
    """Say where workers that may take over each other's jobs compute with other programs."""
    for name in COMPARED:
        having: dict[str, list[str]] = defaultdict(list)
        for worker in workers:
            version = str(worker.facts.get(name) or "")
            if version:
                # A patch of Python changes no results.
                having[".".join(version.split(".")[:2]) if name == "python" else version].append(worker.id)
        if len(having) > 1:
            said = "; ".join(f"{version} on {', '.join(sorted(ids)[:3])}" for version, ids in having.items())
            yield Finding(
                level=Level.WARNING,
                about=ABOUT,
                kind=f"mixed-{name}",
                words=f"workers run several versions of {name}: {said}",
                remedy="install one: a job that goes on elsewhere may differ in its last digits",
            )


def described(published: Mapping[str, Json], built_in: Mapping[str, Json]) -> Iterator[Finding]:
    """Say which detectors workers describe otherwise than this adctl does."""
    other = [
        name
        for name, entry in sorted(built_in.items())
        if name in published and _plain(published[name]) != _plain(entry)
    ]
    if other:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="catalogue",
            words=f"workers describe {', '.join(other)} otherwise than this adctl; theirs counts",
            remedy="install one adctl on all, then start the workers again",
        )


def _plain(entry: Json) -> Json:
    """Return a description without what only workers know."""
    return (
        {name: value for name, value in entry.items() if name != "versions"}
        if isinstance(entry, dict)
        else entry
    )


def _mlflow(ground: Ground) -> Iterator[Finding]:
    uri = ground.settings.tracking_uri
    here = _installed("mlflow")
    if here is None or not uri.startswith(("http://", "https://")):
        return
    from ad_platform.doctor.web import greet

    greeting = greet(uri, os.environ)
    if greeting is None or not greeting.version:
        return
    if _release(greeting.version) == _release(here):
        yield ok(ABOUT, f"MLflow {greeting.version} is served, {here} is installed here")
        return
    yield Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="mlflow",
        words=f"MLflow {greeting.version} is served, and {here} is installed here",
        remedy="run the same release on both sides",
    )


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
