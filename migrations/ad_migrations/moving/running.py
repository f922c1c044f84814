"""Moves an installation: sealed, copied, brought over part by part, and only then said to have moved.

Whatever dies on the way, the same call goes on: the seal stays, the copy is whole or made anew, and each part
is moved again from where it stands. Until the store's rows are committed, the last step, `cancel` leaves
everything here as it was.
"""

import getpass
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ad_migrations import steps
from ad_migrations.moving import backup, checking, parts
from ad_migrations.moving.backup import Backup
from ad_migrations.moving.parts import Moved, Part, Tell
from ad_migrations.moving.places import Target
from ad_platform.errors import Conflict, InvalidRequest, StoreMoved
from ad_platform.failpoints import Edge, reach
from ad_platform.settings import Settings
from ad_platform.stack import leftovers, lifecycle
from ad_platform.store.database import Database
from ad_platform.store.engine import backend_of
from ad_platform.store.sealing import Seal, SealState, mark_moved, seal, seal_of, unseal


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a move."""

    target: str
    backup: str
    parts: tuple[Moved, ...]  # none where an earlier try had done it all, and died before it could say so


def run(source: Settings, target: Target, copy: Path | None, tell: Tell) -> Report:
    """Move an installation, or go on with moving it; `copy` is the folder of the backup.

    Raises what `check` finds in the way, Conflict where another move of this home is under way or it moves
    elsewhere, CorruptBundle where both sides do not hold the same afterwards.
    """
    with _alone(source):
        known = _seal_of(source)
        if known is not None and known.target != target.where:
            raise StoreMoved(known.words)
        if known is not None and known.state is SealState.MOVED:
            raise StoreMoved(known.words)
        if known is not None and checking.identity_of(target.settings.database_url) == known.store:
            # Workers over there may have gone on by now: nothing is compared any more.
            _say_moved(source)
            tell("all of it was over there already; this is noted here now")
            return Report(target=target.where, backup=known.backup, parts=())
        fresh = copy_folder(source, copy)
        checking.check(source, target, fresh).require()
        place = fresh or Path(known.backup if known else "")
        identity = _identity(source)
        held = seal_here(source, target, place, identity, tell)
        keep(source, held, tell)
        tell("making the store's tables over there")
        steps.upgrade(target.settings.database_url)
        return Report(
            target=target.where, backup=held.backup, parts=move(source, parts_of(source, target), tell)
        )


def parts_of(source: Settings, target: Target) -> list[Part]:
    """Return what moves, in order: the store last."""
    return [
        parts.Files(source, target.settings),
        parts.Sweeps(source, target.settings),
        *([parts.Runs(source, target)] if target.mlflow_database else []),
        parts.Store(source.database_url, target.settings.database_url),
    ]


def seal_here(source: Settings, target: Target, place: Path, identity: str, tell: Tell) -> Seal:
    """Let nothing here be written any more, and return the seal."""
    tell(f"sealing {source.home}: from now on nothing is written there")
    wanted = Seal(
        state=SealState.MOVING,
        target=target.where,
        store=identity,
        backup=str(place),
        user=source.user or getpass.getuser(),
        at=f"{datetime.now():%Y-%m-%d %H:%M}",
    )
    with _database(source) as database:
        return seal(database, wanted)


def keep(source: Settings, held: Seal, tell: Tell) -> Backup:
    """Make the copy from which everything can be brought back, and read it again."""
    reach(Edge.KEEP)
    tell(f"copying {source.home} to {held.backup}")
    made = backup.make(source.home, Path(held.backup), held.store, parts.counting(tell, "backup"))
    reach(Edge.KEPT)
    return made


def move(source: Settings, wanted: Sequence[Part], tell: Tell) -> tuple[Moved, ...]:
    """Bring the parts over, one after the other, and say here that they have moved."""
    done = []
    for part in wanted:
        reach(Edge.PART)
        tell(f"moving {part.name}")
        done.append(part.move(tell))
        tell(f"{part.name}: {done[-1].words}")
        reach(Edge.PARTED)
    _say_moved(source)
    return tuple(done)


def cancel(source: Settings, target: Target | None) -> Seal:
    """Leave an installation that has not moved yet where it is; what was copied stays over there, unused.

    Without a target nobody looks whether the jobs are over there already. Raises InvalidRequest where nothing
    is being moved, Conflict where it has moved.
    """
    with _alone(source):
        known = _seal_of(source)
        if known is None:
            raise InvalidRequest(f"{source.home} is not being moved")
        if known.state is SealState.MOVED:
            raise StoreMoved(known.words)
        if target is not None and known.target != target.where:
            raise InvalidRequest(f"{source.home} is being moved to {known.target}, not to {target.where}")
        if target is not None and checking.identity_of(target.settings.database_url) == known.store:
            raise Conflict(
                f"the jobs are in {known.target} already, and workers there may run them: finish with adctl "
                f"migrate run, or go back for good: adctl migrate restore {known.backup}"
            )
        with _database(source) as database:
            unseal(database)
        return known


def restore(
    home: Path, folder: Path, settings: Settings, tell: Tell, *, force: bool = False
) -> tuple[Backup, Path | None]:
    """Bring an installation back from its copy, and return what that says and where what was here lies now.

    Raises Conflict where services run, or where there is a store that goes on, unless forced.
    """
    known = backup.read(folder)
    names = [state.name for state in lifecycle.states(settings) if state.pid]
    if names or leftovers.marked(home):
        raise Conflict(f"services of {home} run: adctl down")
    if (home / backup.STORE).exists() and not force and _seal_of(settings) is None:
        raise Conflict(
            f"{home} holds an installation that is in use; --force puts it aside, or set another ADCTL_HOME"
        )
    tell(f"bringing back {known.size} files of {known.home}, as of {known.made_at}")
    aside = backup.bring_back(folder, home, parts.counting(tell, "restore"))
    return known, aside


def copy_folder(source: Settings, copy: Path | None) -> Path | None:
    """Return the folder in which the copy is to be made, None where a move that is under way has named it."""
    return None if _seal_of(source) else copy or default_copy(source)


def default_copy(source: Settings) -> Path:
    """Return where the copy goes unless somebody says otherwise: beside the home."""
    return source.home.with_name(f"{source.home.name.lstrip('.')}-backup-{datetime.now():%Y%m%d-%H%M%S}")


def _identity(source: Settings) -> str:
    known = _seal_of(source)
    if known is not None:
        return known.store
    with closing(checking.open_source(source)) as store:
        return store.retention.identity()


def _seal_of(source: Settings) -> Seal | None:
    if not (source.home / backup.STORE).exists():
        return None
    with _database(source) as database:
        return seal_of(database)


def _say_moved(source: Settings) -> None:
    with _database(source) as database:
        mark_moved(database)


@contextmanager
def _database(source: Settings) -> Iterator[Database]:
    with closing(Database(backend_of(source.database_url))) as database:
        yield database


@contextmanager
def _alone(source: Settings) -> Iterator[None]:
    """Let one move of a home work at a time."""
    if not source.home.is_dir():
        raise InvalidRequest(f"there is no installation in {source.home}; set ADCTL_HOME")
    try:
        with FileLock(source.home / "migrate.lock", timeout=0):
            yield
    except Timeout as error:
        raise Conflict(f"another adctl migrate of {source.home} is at work") from error
