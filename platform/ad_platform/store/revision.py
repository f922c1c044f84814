"""Which schema this program speaks: the revisions it knows, oldest first, and who may use a newer one."""

from collections.abc import Mapping

from ad_platform.errors import StoreMismatch

VERSION_TABLE = "adctl_version"  # Optuna and MLflow call theirs alembic_version
# A column of that table, beside Alembic's: the oldest program that may work with the store, by the newest
# revision that the program knows, and of which revision that is said, as "0009@0010".
READABLE_FROM = "readable_from"
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
)  # a test holds this to the migrations, which this package must not import
HEAD = REVISIONS[-1]
# The revisions that an older program can work with, and which is the oldest such program. Only what it
# neither reads nor must write may have come: tables, indexes, columns that may be left out. More in
# docs/operations.md.
EXPANDING: Mapping[str, str] = {"0010": "0009", "0011": "0009"}


def saying(oldest: str, revision: str) -> str:
    """Return what a store says of the oldest program."""
    return f"{oldest}@{revision}"


def said_by(text: str | None, revision: str | None) -> str | None:
    """Return the oldest program, None where the store does not say it of the revision that it has now.

    Whoever changed the schema by other ways than ours has said nothing.
    """
    oldest, _, of = (text or "").partition("@")
    return oldest if oldest and of == revision else None


def oldest_for(revision: str) -> str:
    """Return the oldest program, by its newest revision, that may work with a store of a revision."""
    return EXPANDING.get(revision, revision)


def is_older(program: str, needed: str) -> bool:
    """Say whether a program is older than the one that is needed; a revision nobody here knows is newest."""
    return program in REVISIONS and (
        needed not in REVISIONS or REVISIONS.index(program) < REVISIONS.index(needed)
    )


def check_revision(found: str | None, where: str, readable_from: str | None = None) -> None:
    """Raise StoreMismatch, saying which side to upgrade, unless this program may work with the store.

    It may with its own schema, and with a newer one that says so: `readable_from` is what the store says of
    the oldest program, if it says anything.
    """
    if found is None:
        raise StoreMismatch(f"there is no store in {where}; make one: adctl db upgrade")
    if readable_from is not None and readable_from not in REVISIONS:
        raise StoreMismatch(
            f"the store {where} is for programs that know schema {readable_from}, and this one knows {HEAD} "
            f"at most: it has become newer, or is about to: upgrade adctl"
        )
    if found == HEAD or (found not in REVISIONS and readable_from is not None):
        return
    if found in REVISIONS:
        raise StoreMismatch(
            f"the store {where} has schema {found}, this program needs {HEAD}: adctl db upgrade"
        )
    raise StoreMismatch(
        f"the store {where} has schema {found}, newer than this program's {HEAD}: upgrade adctl"
    )
