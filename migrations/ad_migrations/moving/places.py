"""Where an installation moves from and to: one machine's own home, and the addresses of a cluster."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform import settings as environment
from ad_platform.addresses import shown
from ad_platform.cluster import dotenv
from ad_platform.errors import InvalidData, InvalidRequest, InvalidValue
from ad_platform.settings import Settings

MLFLOW_DATABASE = "MLFLOW_BACKEND_STORE_URI"  # as MLflow's server calls it
NEEDED = ("ADCTL_DATABASE_URL", "ADCTL_STORAGE_URL")
_HANDED_ON = ("AWS_", "MLFLOW_")  # what the libraries behind storage and MLflow read by themselves
_BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"  # there would be one for each file


@dataclass(frozen=True, kw_only=True)
class Target:
    """The cluster that an installation moves to."""

    settings: Settings  # its addresses; the home is that of the source, for locks alone
    mlflow_database: str  # where MLflow's server keeps its runs; empty where MLflow does not move
    named: Path  # the file that names all this
    environ: Mapping[str, str] = field(default_factory=dict)  # what it says to the libraries behind these

    @property
    def where(self) -> str:
        """Return the address of its store, fit to be shown."""
        return shown(self.settings.database_url)


def source_of(settings: Settings) -> Settings:
    """Return the settings of an installation that can move; raise InvalidRequest for one elsewhere."""
    if not settings.embedded:
        raise InvalidRequest(
            f"the store is in {shown(settings.database_url)} (ADCTL_DATABASE_URL), not in ADCTL_HOME: "
            "only one machine's own installation moves; unset the variables that lead to the cluster"
        )
    return settings


def read_target(file: Path, source: Settings) -> Target:
    """Read the file of a cluster's addresses, with the accounts that own what lies there.

    Raises InvalidData for no such file, InvalidValue for one that lacks an address.
    """
    try:
        named = dotenv.parse(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is no text"
        raise InvalidData(
            f"cannot read {file}: {reason}; adctl cluster env --owner writes such a file"
        ) from error
    for name in NEEDED:
        if not named.get(name):
            raise InvalidValue(
                f"{file} does not set {name}; adctl cluster env --owner writes a file that does"
            )
    addresses = {
        **named,
        "ADCTL_HOME": str(source.home),
        "ADCTL_NODE": source.node,
        "ADCTL_USER": source.user,
    }
    settings = environment.load(addresses)
    if not settings.database_url.startswith("postgres"):
        raise InvalidValue(
            f"ADCTL_DATABASE_URL in {file} must be a cluster's store: postgresql://USER:PASSWORD@HOST/NAME"
        )
    _check_tracking(file, named)
    handed_on = {name: value for name, value in named.items() if name.startswith(_HANDED_ON)}
    return Target(
        settings=settings, mlflow_database=named.get(MLFLOW_DATABASE, ""), named=file, environ=handed_on
    )


@contextmanager
def lending(target: Target) -> Iterator[None]:
    """Let the libraries behind storage and MLflow see for a while what the target's file says to them."""
    lent = {**target.environ, _BARS: "false"}
    before = {name: os.environ.get(name) for name in lent}
    os.environ.update(lent)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_tracking(file: Path, named: Mapping[str, str]) -> None:
    uri = named.get("MLFLOW_TRACKING_URI", "")
    if not uri.startswith(("http://", "https://")):
        raise InvalidValue(
            f"MLFLOW_TRACKING_URI in {file} must be the address of MLflow's server, http://HOST"
        )
    if not named.get(MLFLOW_DATABASE):
        raise InvalidValue(
            f"{file} does not set {MLFLOW_DATABASE}, the database that MLflow's server keeps its runs in"
        )
