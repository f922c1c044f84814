"""A whole copy of one machine's installation, made while nothing writes to it, and brought back from it.

The databases are copied by SQLite's own way, which is whole at one moment; all other files by their content.
`backup.json`, written last, names each with its SHA-256: without it there is no copy.
"""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from ad_platform.code_version import package_version
from ad_platform.errors import Conflict, CorruptBundle, DiskFull, InvalidData, StoreDamaged
from ad_platform.failpoints import Edge, reach
from ad_platform.storage.moving import hash_of
from ad_platform.store.database import Database
from ad_platform.store.engine import backend_of
from ad_platform.store.sealing import unseal

NAME, CONTENT = "backup.json", "home"
FORMAT = 1
STORE = "store.db"
# What can be made again: caches, the scratch of attempts, wake-ups (which the store owes again), locks.
LEFT = frozenset({"cache", "scratch", "valkey", "workers", "stack"})
KEPT_OF_STACK = "state.json"  # the port of the pages
_SQLITE = b"SQLite format 3\x00"
_BESIDE = ("-wal", "-shm", "-journal", ".lock")
Tell = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What a copy says of itself."""

    home: str  # where it was
    store: str  # the name of its store
    made_at: str
    adctl: str
    files: dict[str, str]  # path -> SHA-256
    rows: dict[str, dict[str, int]]  # database -> table -> rows
    links: dict[str, str]  # name -> where it leads: what lies there is no part of the copy
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Return how many files it has."""
        return len(self.files)


def weight(home: Path) -> int:
    """Return the bytes of all that a copy would hold."""
    return sum(path.stat().st_size for path in _content(home))


def make(home: Path, folder: Path, store: str, tell: Tell = lambda done, of: None) -> Backup:
    """Copy a home into a folder and return what the copy says; one that is whole already is only verified.

    Raises Conflict for a folder that holds something else, DiskFull, StoreDamaged for a database that is not
    whole.
    """
    if (folder / NAME).exists():
        known = verify(folder)
        if known.store != store:
            raise Conflict(
                f"{folder} holds the copy of another installation ({known.home}); give another --backup"
            )
        return known
    _make_folder(folder)
    content = folder / CONTENT
    shutil.rmtree(content, ignore_errors=True)  # of somebody who died at it
    files: dict[str, str] = {}
    rows: dict[str, dict[str, int]] = {}
    found = list(_content(home))
    with _room(folder):
        for number, path in enumerate(found, start=1):
            name = path.relative_to(home).as_posix()
            place = content / name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_database(path):
                copy_database(path, place)
                if name == STORE:
                    _open_again(place)
                rows[name] = _check_database(place)
            else:
                shutil.copy2(path, place)
            files[name] = hash_of(place)
            tell(number, len(found))
        made = Backup(
            home=str(home),
            store=store,
            made_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            adctl=package_version(),
            files=files,
            rows=rows,
            links={entry.name: str(entry.readlink()) for entry in home.iterdir() if _is_link(entry)},
        )
        _write_whole(folder / NAME, json.dumps(asdict(made), indent=1, sort_keys=True))
    return verify(folder)


def read(folder: Path) -> Backup:
    """Return what a copy says of itself; raise InvalidData for a folder that is none."""
    try:
        value = json.loads((folder / NAME).read_text())
        if value["format"] != FORMAT:
            raise InvalidData(f"{folder} was made by another adctl ({value.get('adctl')}): use that one")
        return Backup(**value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidData(
            f"{folder} holds no whole copy of an installation: it has no readable {NAME}"
        ) from error


def verify(folder: Path) -> Backup:
    """Read every file of a copy and return what it says; raise CorruptBundle for the first that differs."""
    known = read(folder)
    for name, wanted in known.files.items():
        try:
            found = hash_of(folder / CONTENT / name)
        except OSError as error:
            raise CorruptBundle(f"the copy {folder} is broken: {name} cannot be read") from error
        if found != wanted:
            raise CorruptBundle(f"the copy {folder} is broken: {name} has changed since it was made")
    for name, tables in known.rows.items():
        if _check_database(folder / CONTENT / name) != tables:
            raise CorruptBundle(f"the copy {folder} is broken: {name} has other rows than were counted")
    return known


def bring_back(folder: Path, home: Path, tell: Tell = lambda done, of: None) -> Path | None:
    """Put a home back as its copy has it, and return where what was in its place lies now, if anything was.

    All of it is copied beside the home and verified there; then names are exchanged. Raises CorruptBundle
    before anything is changed, DiskFull, and what `verify` raises.
    """
    known = verify(folder)
    for left in home.parent.glob(f"{home.name}.restoring-*"):  # of somebody who died at it
        shutil.rmtree(left, ignore_errors=True)
    fresh = home.with_name(f"{home.name}.restoring-{secrets.token_hex(4)}")
    try:
        fresh.mkdir(mode=0o700)
        with _room(fresh.parent):
            for number, (name, wanted) in enumerate(known.files.items(), start=1):
                place = fresh / name
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copy2(folder / CONTENT / name, place)
                if hash_of(place) != wanted:
                    raise CorruptBundle(f"{name} cannot be written to {fresh} as it is in the copy")
                tell(number, known.size)
            for name, leads in known.links.items():
                (fresh / name).symlink_to(leads)
        reach(Edge.BRING)
        aside: Path | None = None
        if os.path.lexists(home):
            aside = home.with_name(f"{home.name}.before-restore-{datetime.now():%Y%m%d-%H%M%S-%f}")
            home.rename(aside)
        reach(Edge.BROUGHT)
        fresh.rename(home)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return aside


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file with all that was committed, whole at one moment, whoever has it open."""
    uri = f"file:{quote(str(source))}?mode=ro"
    target.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(f"{source} cannot be copied: {error}") from error
    target.chmod(source.stat().st_mode & 0o777)


def _check_database(path: Path) -> dict[str, int]:
    """Return the rows of each table; raise StoreDamaged for a file that is not whole."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
            if said != "ok":
                raise StoreDamaged(f"{path} is damaged: {said}")
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for (name,) in sorted(names)
            }
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(f"{path} is damaged: {error}") from error


def _open_again(place: Path) -> None:
    """Take the seal off the copy of a store: what is brought back is to go on."""
    database = Database(backend_of(f"sqlite:///{place}"))
    try:
        unseal(database)
    finally:
        database.close()
    with contextlib.closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _content(home: Path) -> Iterator[Path]:
    """Yield the files that a copy holds."""
    state = home / "stack" / KEPT_OF_STACK
    if state.is_file():
        yield state
    for entry in sorted(home.iterdir()):
        if entry.name in LEFT or _is_link(entry):
            continue
        if entry.is_file() and not entry.name.endswith(_BESIDE):
            yield entry
        elif entry.is_dir():
            yield from sorted(
                path for path in entry.rglob("*") if path.is_file() and not path.name.endswith(_BESIDE)
            )


def _is_link(entry: Path) -> bool:
    """Say whether an entry of a home leads elsewhere, as to a folder of datasets; storage is followed."""
    return entry.is_symlink() and entry.name not in ("storage", "mlartifacts") and not entry.is_file()


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _make_folder(folder: Path) -> None:
    if folder.exists() and any(entry.name != CONTENT for entry in folder.iterdir()):
        raise Conflict(f"{folder} is not empty; give another --backup")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_whole(place: Path, text: str) -> None:
    temporary = place.with_name(f"{place.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)


@contextlib.contextmanager
def _room(folder: Path) -> Iterator[None]:
    import errno

    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no room for the copy in {folder}: free some disk space, then try again"
            ) from error
        raise
