"""The environment, read once: where everything lies and how long everything may take."""

import getpass
import hashlib
import json
import math
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from ad_platform import failpoints, roots
from ad_platform.errors import InvalidValue
from ad_platform.roots import Roots

FETCH_GB = 50.0  # ten times all of MVTec AD


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the services are and the few times that matter; every path is absolute."""

    home: Path  # ADCTL_HOME: everything of the embedded mode lies under it
    database_url: str  # ADCTL_DATABASE_URL
    optuna_url: str  # ADCTL_OPTUNA_URL: a database of Optuna's own; empty: beside the store
    broker_url: str  # ADCTL_BROKER_URL
    storage_url: str  # ADCTL_STORAGE_URL: a folder or an fsspec URL; ADCTL_STORAGE_OPTIONS become its query
    tracking_uri: str  # MLFLOW_TRACKING_URI
    data_root: Path  # ADCTL_DATA: folders of datasets, <dataset>/<category>
    weights: Path | None  # ADCTL_WEIGHTS: a folder of backbone weights
    node: str  # ADCTL_NODE: the name of this machine
    user: str  # ADCTL_USER: whose share of the workers a job counts against
    lease: float  # ADCTL_LEASE seconds
    tick: float  # ADCTL_TICK seconds between two looks at the store
    grace: float  # ADCTL_GRACE seconds a draining worker has to checkpoint and leave
    fetched: int = int(FETCH_GB * 1e9)  # ADCTL_FETCH_GB: bytes of pushed pictures that this machine keeps
    more_roots: tuple[Path, ...] = ()  # ADCTL_DATA_ROOTS: folders beside ADCTL_DATA that may be read from

    @property
    def embedded(self) -> bool:
        """Whether the services are the ones `adctl up` starts on this machine."""
        return self.database_url == embedded_database(self.home)

    @property
    def roots(self) -> Roots:
        """Return where a worker reads pictures; where the store is a file, anywhere unless told otherwise.

        There whoever submits is whoever computes; elsewhere a job must not be a way to read a worker's files.
        """
        if self.database_url.startswith("sqlite") and not self.more_roots:
            return Roots()
        return Roots.of((self.data_root, *self.more_roots))

    @property
    def run_dir(self) -> Path:
        """Return the folder for sockets, short since a socket's path holds about 100 characters."""
        return run_dir(self.home)


def embedded_database(home: Path) -> str:
    """Return the address of the embedded store."""
    return f"sqlite:///{home / 'store.db'}"


def run_dir(home: Path) -> Path:
    """Return a short folder of this user's own for the sockets of one ADCTL_HOME."""
    mark = hashlib.sha256(str(home).encode()).hexdigest()[:10]
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows has none, and no sockets of ours either
    return Path(tempfile.gettempdir()) / f"adctl-{user}-{mark}"


def embedded_broker(home: Path) -> str:
    """Return the address of the embedded broker, a unix socket: no port to clash with."""
    return f"redis+socket://{run_dir(home) / 'broker.sock'}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; raise InvalidValue for a number that is none."""
    env = os.environ if environ is None else environ
    failpoints.armed_by(env)  # a mistake in it is told here, and not from the midst of a transaction
    home = _home(env)
    weights = env.get("ADCTL_WEIGHTS")
    return Settings(
        home=home,
        database_url=env.get("ADCTL_DATABASE_URL") or embedded_database(home),
        optuna_url=env.get("ADCTL_OPTUNA_URL") or "",
        broker_url=env.get("ADCTL_BROKER_URL") or embedded_broker(home),
        storage_url=_storage_url(env, home),
        tracking_uri=env.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}",
        data_root=Path(env.get("ADCTL_DATA") or home / "data").expanduser().absolute(),
        weights=Path(weights).expanduser().absolute() if weights else None,
        node=env.get("ADCTL_NODE") or socket.gethostname(),
        user=env.get("ADCTL_USER") or env.get("USER") or _login(),
        lease=_seconds(env, "ADCTL_LEASE", 30.0),
        tick=_seconds(env, "ADCTL_TICK", 5.0),
        grace=_seconds(env, "ADCTL_GRACE", 30.0),
        fetched=int(_above_zero(env, "ADCTL_FETCH_GB", FETCH_GB, "gigabytes") * 1e9),
        more_roots=roots.read(env.get(roots.VARIABLE) or ""),
    )


def _home(env: Mapping[str, str]) -> Path:
    """Return the folder of everything; it need not exist yet, but a file must not be in its place."""
    home = Path(env.get("ADCTL_HOME") or Path.home() / ".adctl").expanduser().absolute()
    for place in (home, *home.parents):
        try:
            if place.is_dir():
                break
            if place.exists():
                raise InvalidValue(f"ADCTL_HOME must be a folder, and {place} is a file; choose another one")
        except OSError:
            break  # who needs the folder says what is wrong with it
    return home


def _storage_url(env: Mapping[str, str], home: Path) -> str:
    url = env.get("ADCTL_STORAGE_URL") or str(home / "storage")
    text = env.get("ADCTL_STORAGE_OPTIONS")
    if not text:
        return url
    try:
        options = json.loads(text)
    except json.JSONDecodeError:
        options = None
    if not isinstance(options, dict):
        raise InvalidValue('ADCTL_STORAGE_OPTIONS must be a JSON object such as {"anon": true}')
    if "://" not in url:
        return url  # a plain folder has no options
    return f"{url}{'&' if '?' in url else '?'}{urlencode({k: json.dumps(v) for k, v in options.items()})}"


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    return _above_zero(env, name, default, "seconds")


def _above_zero(env: Mapping[str, str], name: str, default: float, what: str) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise InvalidValue(f"{name} must be a number of {what}, not '{text}'") from None
    if not 0 < value < math.inf:
        raise InvalidValue(f"{name} must be more than 0 {what}, not {text}")
    return value


def _login() -> str:
    """Return the name of whoever runs this; an id without a name happens in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
