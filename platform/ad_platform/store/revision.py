"""Which schema this program speaks: the revisions it knows, oldest first."""

from ad_platform.errors import StoreMismatch

VERSION_TABLE = "adctl_version"  # Optuna and MLflow call theirs alembic_version
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


def check_revision(found: str | None, where: str) -> None:
    """Raise StoreMismatch, saying which side to upgrade, unless the store has this program's schema."""
    if found == HEAD:
        return
    if found is None:
        raise StoreMismatch(f"there is no store in {where}; make one: adctl db upgrade")
    if found in REVISIONS:
        raise StoreMismatch(
            f"the store {where} has schema {found}, this program needs {HEAD}: adctl db upgrade"
        )
    raise StoreMismatch(
        f"the store {where} has schema {found}, newer than this program's {HEAD}: upgrade adctl"
    )
