"""What moving MLflow's runs to a server takes beside rows: files, their addresses, accounts, a comparison."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ad_platform.errors import CorruptBundle, Forbidden, TrackingDown
from ad_platform.storage.moving import hash_of
from ad_platform.tracking.mlflow import open_client, reaching
from ad_platform.tracking.reachable import knock

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

PROXIED = "mlflow-artifacts:"  # files that go through the server, wherever it keeps them
OWNER = "worker"  # the account that experiments and models of adctl belong to
# Not rows of anybody's work: the schema's own, and what a running server notes of itself.
SKIPPED = frozenset({"alembic_version", "scheduler_leases", "job_locks"})
# Columns that hold the address of files.
ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "trace_tags": ("value",),
}
Tell = Callable[[int, int], None]
Rewrite = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Move:
    """Where the files of one experiment lie, and where they will."""

    experiment: int
    old: str  # as the rows have it
    folder: Path
    new: str


def moves(experiments: Iterable[tuple[int, str]]) -> list[Move]:
    """Return which experiments have their files in a folder of this machine, and where a server puts them.

    Takes ids and locations; files that lie elsewhere, such as in S3, stay there.
    """
    found = []
    for experiment, location in experiments:
        folder = folder_of(location)
        if folder is not None:
            new = f"{PROXIED}/{experiment}"
            found.append(Move(experiment=experiment, old=location.rstrip("/"), folder=folder, new=new))
    return found


def folder_of(location: str) -> Path | None:
    """Return the folder that an address of files names, None where it names none of this machine."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if location.startswith("/") else None


def rewriting(found: Sequence[Move]) -> Rewrite:
    """Return what turns a row of MLflow's into what it is on the server: addresses of files alone change."""
    longest = sorted(found, key=lambda move: -len(move.old))

    def rewrite(table: str, row: dict[str, Any]) -> dict[str, Any]:
        changed = {name: _moved(row.get(name), longest) for name in ADDRESSES.get(table, ())}
        return {**row, **changed}

    return rewrite


def _moved(value: Any, found: Sequence[Move]) -> Any:
    if not isinstance(value, str):
        return value
    for move in found:
        if value == move.old or value.startswith(f"{move.old}/"):
            return move.new + value.removeprefix(move.old)
    return value


def check_server(uri: str) -> None:
    """Raise TrackingDown unless the server answers, Forbidden unless the account owns everything there."""
    knock(uri)
    client = open_client(uri)
    with reaching(uri):
        client.search_experiments(max_results=1)
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if user and not _accounts(uri).get_user(user).is_admin:
        raise Forbidden(
            f"the account '{user}' of MLflow may not give others their rights: use that of the admin"
        )


def weight(found: Sequence[Move]) -> tuple[int, int]:
    """Return how many files of runs there are, and their bytes."""
    sizes = [path.stat().st_size for move in found for path in _files(move.folder)]
    return len(sizes), sum(sizes)


def move_files(uri: str, found: Sequence[Move], tell: Tell = lambda done, of: None) -> int:
    """Have the server keep the files of runs, folder by folder, and return how many were sent.

    What the server has already is not sent again; every file is read back. Raises CorruptBundle,
    TrackingDown.
    """
    parts = [(move, part) for move in found for part in _parts(move.folder)]
    total = sum(len(files) for _, (_, files) in parts)
    done = sent = 0
    for move, (name, files) in parts:
        sent += _move_part(uri, f"{move.new}/{name}" if name else move.new, move.folder / name, files)
        done += len(files)
        tell(done, total)
    return sent


def _move_part(uri: str, place: str, folder: Path, files: Sequence[Path]) -> int:
    """Send the files of a folder that the server lacks, and return how many those were."""
    wanted = {path.relative_to(folder).as_posix(): hash_of(path) for path in files}
    with reaching(uri):
        there = _kept(uri, place, wanted)
        lacking = [name for name in wanted if there.get(name) != wanted[name]]
        if not lacking:
            return 0
        repository = _repository(uri, place)
        for name in lacking:
            repository.log_artifact(str(folder / name), name.rpartition("/")[0] or None)
        there = _kept(uri, place, wanted)
    other = [name for name in wanted if there.get(name) != wanted[name]]
    if other:
        raise CorruptBundle(f"{place}/{other[0]} at {uri} is not what was sent there")
    return len(lacking)


def _kept(uri: str, place: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of those of these files that the server has."""
    names = _listed(_repository(uri, place), "")
    found = {}
    with tempfile.TemporaryDirectory(prefix="adctl-move-") as scratch:
        for name in sorted(names & {*wanted}):
            got = Path(_repository(uri, place).download_artifacts(name, scratch))
            found[name] = hash_of(got)
            got.unlink()
    return found


def _listed(repository: "ArtifactRepository", path: str) -> set[str]:
    found: set[str] = set()
    for entry in repository.list_artifacts(path or None):
        found |= _listed(repository, entry.path) if entry.is_dir else {entry.path}
    return found


def _repository(uri: str, place: str) -> "ArtifactRepository":
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(place, tracking_uri=uri)


def _parts(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the folders directly below one, each with its files; loose files under an empty name."""
    if not folder.is_dir():
        return
    entries = sorted(folder.iterdir())
    loose = [entry for entry in entries if entry.is_file()]
    if loose:
        yield "", loose
    for entry in entries:
        if entry.is_dir() and (files := _files(entry)):
            yield entry.name, files


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def give_to_workers(uri: str, experiments: Iterable[int], models: Iterable[str]) -> None:
    """Let the workers' account manage what has moved, as if it had made it, where there are accounts."""
    if not os.environ.get("MLFLOW_TRACKING_USERNAME"):
        return
    from mlflow.exceptions import MlflowException

    accounts = _accounts(uri)
    things = [
        *(("experiment", str(each)) for each in experiments),
        *(("registered_model", each) for each in models),
    ]
    for kind, name in things:
        try:
            accounts.grant_user_permission(OWNER, kind, name, "MANAGE")
        except MlflowException as error:
            raise TrackingDown(
                f"MLflow at {uri} does not give {kind} {name} to '{OWNER}': {error.message}"
            ) from error


def _accounts(uri: str) -> Any:
    from mlflow.server.auth.client import AuthServiceClient

    return AuthServiceClient(uri)


def differences(source: str, target: str, found: Sequence[Move]) -> list[str]:
    """Ask both sides for every run and model, and say where they differ, a line for each."""
    here, there = open_client(source), open_client(target)
    rewrite = rewriting(found)
    with reaching(source):
        old_runs, old_models = _runs(here, rewrite), _models(here, rewrite)
    with reaching(target):
        new_runs, new_models = _runs(there, rewrite), _models(there, rewrite)
    return [*_others("run", old_runs, new_runs), *_others("model", old_models, new_models)]


def _others(what: str, one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [
        f"MLflow's {what} {name} differs"
        if name in one and name in other
        else f"the {what} {name} is on one side"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def _runs(client: "MlflowClient", rewrite: Rewrite) -> dict[str, str]:
    """Return every run, those deleted too, with its parameters, newest metrics and tags."""
    experiments = [
        each.experiment_id
        for each in _all(lambda token: client.search_experiments(3, 1000, page_token=token))
    ]
    found: dict[str, str] = {}
    for start in range(0, len(experiments), 100):
        for run in _all(partial(_page, client, experiments[start : start + 100])):
            address = rewrite("runs", {"artifact_uri": run.info.artifact_uri})["artifact_uri"]
            told = (run.info.experiment_id, run.info.status, run.info.lifecycle_stage, run.info.start_time)
            data = (run.data.params, run.data.metrics, run.data.tags)
            found[run.info.run_id] = repr(
                (*told, run.info.end_time, address, *(sorted(each.items()) for each in data))
            )
    return found


def _page(client: "MlflowClient", experiments: list[str], token: str | None) -> Any:
    return client.search_runs(experiments, "", 3, 1000, page_token=token)


def _all(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield what all pages of an answer hold."""
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def _models(client: "MlflowClient", rewrite: Rewrite) -> dict[str, str]:
    """Return every version of every model, and where the aliases point."""
    found = {}
    for model in _all(lambda token: client.search_registered_models("", 1000, page_token=token)):
        # A file's numbers are numbers, a server's are words.
        found[model.name] = repr(sorted((name, str(version)) for name, version in model.aliases.items()))
    for version in _all(lambda token: client.search_model_versions("", 1000, page_token=token)):
        source = rewrite("model_versions", {"source": version.source, "storage_location": None})["source"]
        told = (source, version.run_id, version.status, sorted(version.tags.items()))
        found[f"{version.name} {version.version}"] = repr(told)
    return found
