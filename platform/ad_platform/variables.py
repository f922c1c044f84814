"""The environment variables that adctl reads: what each is for, its value now, and where that comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from ad_platform.addresses import HIDDEN, shown
from ad_platform.settings import Settings

PREFIX = "ADCTL_"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One of them."""

    name: str
    meaning: str
    value: Callable[[Settings, Mapping[str, str]], str]  # in force, as it may be shown


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A variable with the value that is in force."""

    name: str
    value: str
    source: str  # environment or default
    meaning: str


def _given(name: str, default: str) -> Callable[[Settings, Mapping[str, str]], str]:
    return lambda settings, env: env.get(name) or default


VARIABLES: tuple[Variable, ...] = (
    Variable(name="ADCTL_HOME", meaning="everything of the one-machine mode", value=lambda s, _: str(s.home)),
    Variable(name="ADCTL_DATABASE_URL", meaning="the store", value=lambda s, _: shown(s.database_url)),
    Variable(
        name="ADCTL_OPTUNA_URL",
        meaning="a database of Optuna's own, for sweeps",
        value=lambda s, _: shown(s.optuna_url) if s.optuna_url else "beside the store",
    ),
    Variable(name="ADCTL_BROKER_URL", meaning="Redis or Valkey", value=lambda s, _: shown(s.broker_url)),
    Variable(
        name="ADCTL_STORAGE_URL",
        meaning="checkpoints, models and logs: a folder or an fsspec address",
        value=lambda s, _: shown(s.storage_url),
    ),
    Variable(
        name="ADCTL_STORAGE_OPTIONS",
        meaning="what fsspec needs to reach the storage, a JSON object",
        # Whatever stands in it, some of it is a key.
        value=lambda s, env: HIDDEN if env.get("ADCTL_STORAGE_OPTIONS") else "",
    ),
    Variable(name="MLFLOW_TRACKING_URI", meaning="MLflow", value=lambda s, _: shown(s.tracking_uri)),
    Variable(
        name="ADCTL_DATA",
        meaning="where --dataset and --category are looked up",
        value=lambda s, _: str(s.data_root),
    ),
    Variable(
        name="ADCTL_DATA_ROOTS",
        meaning="folders, parted by ':', that pictures may be read from beside ADCTL_DATA",
        value=lambda s, _: str(s.roots) or "any",
    ),
    Variable(
        name="ADCTL_WEIGHTS",
        meaning="a folder of pretrained backbones",
        value=lambda s, _: str(s.weights) if s.weights else "",
    ),
    # The detectors' own; a test holds the default to theirs.
    Variable(
        name="ADCTL_CACHE_GB",
        meaning="gigabytes of decoded pictures that a machine keeps",
        value=_given("ADCTL_CACHE_GB", "20"),
    ),
    Variable(
        name="ADCTL_FETCH_GB",
        meaning="gigabytes of pushed pictures that a machine keeps",
        value=lambda s, _: f"{s.fetched / 1e9:g}",
    ),
    Variable(name="ADCTL_NODE", meaning="the name of this machine", value=lambda s, _: s.node),
    Variable(name="ADCTL_USER", meaning="whose share of the workers a job counts", value=lambda s, _: s.user),
    Variable(
        name="ADCTL_LEASE",
        meaning="seconds after which a silent worker has lost its job",
        value=lambda s, _: f"{s.lease:g}",
    ),
    Variable(
        name="ADCTL_TICK",
        meaning="seconds between two looks at the store",
        value=lambda s, _: f"{s.tick:g}",
    ),
    Variable(
        name="ADCTL_GRACE",
        meaning="seconds a worker told to leave has to checkpoint",
        value=lambda s, _: f"{s.grace:g}",
    ),
    Variable(
        name="ADCTL_LOG",
        meaning="how a worker and its companions log: text or json",
        value=_given("ADCTL_LOG", "text"),
    ),
    Variable(name="ADCTL_DEBUG", meaning="1 shows where a fault happened", value=_given("ADCTL_DEBUG", "")),
)

MISTAKEN = ("MLFLOW_TRACKING_URL", "MLFLOW_URI", "MLFLOW_URL")
# Set by adctl itself, and by those who test it.
INTERNAL = frozenset({"ADCTL_FAILPOINT", "ADCTL_STACK", "ADCTL_TEST_DATA"})


def in_force(settings: Settings, environ: Mapping[str, str]) -> list[Setting]:
    """Return every setting with its value, secrets hidden, and where it comes from."""
    return [
        Setting(
            name=variable.name,
            value=variable.value(settings, environ),
            source="environment" if environ.get(variable.name) else "default",
            meaning=variable.meaning,
        )
        for variable in VARIABLES
    ]


def mistyped(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like one of adctl's and is none."""
    known = {variable.name for variable in VARIABLES} | INTERNAL
    strange = [name for name in sorted(environ) if name.upper().startswith(PREFIX) and name not in known]
    lines = [f"{name} means nothing to adctl; {_nearest(name)}" for name in strange]
    return lines + [
        f"{name} means nothing to MLflow; did you mean MLFLOW_TRACKING_URI?"
        for name in MISTAKEN
        if environ.get(name)
    ]


def _nearest(name: str) -> str:
    # Without what they all begin with, or every name would be near every other.
    endings = [each.name.removeprefix(PREFIX) for each in VARIABLES if each.name.startswith(PREFIX)]
    near = get_close_matches(name.upper().removeprefix(PREFIX), endings, n=1, cutoff=0.5)
    return f"did you mean {PREFIX}{near[0]}?" if near else "adctl config lists those there are"
