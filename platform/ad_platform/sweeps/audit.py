"""What Optuna's storage says of our studies, read without making or changing anything."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_platform.addresses import shown
from ad_platform.settings import Settings
from ad_platform.store.neighbours import has_table
from ad_platform.sweeps.optuna_study import PATIENCE, STUDY, close_storage, reaching, storage_url

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_VERSIONS = "alembic_version"  # Optuna's table of its revision


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A study as Optuna keeps it."""

    name: str
    study_id: str  # of ours; "" where it is none
    running: frozenset[int]  # numbers of trials that were asked for and not told of
    count: int  # of all trials


@dataclass(frozen=True, kw_only=True)
class OptunaFacts:
    """What lies in Optuna's storage, and whether the installed Optuna can use it."""

    installed: str
    schema: str  # revision of the tables
    wanted: str  # revision that the installed Optuna speaks
    studies: Mapping[str, Kept]  # by name

    @property
    def fits(self) -> bool:
        """Whether the installed Optuna can use the tables."""
        return self.schema == self.wanted


def readable(settings: Settings) -> bool:
    """Say whether there is such a storage, and an Optuna to read it with."""
    if find_spec("optuna") is None:
        return False
    url = storage_url(settings)
    return not url.startswith("sqlite") or Path(url.partition(":///")[2]).exists()


def facts(settings: Settings, names: Collection[str]) -> OptunaFacts | None:
    """Return what is kept, with the trials of the studies of these names; None where there are no tables.

    Raises StoreDown.
    """
    url = storage_url(settings)
    # Optuna would make its tables where there are none, or leave a connection open.
    if not has_table(url, _VERSIONS, shown(settings.optuna_url or settings.database_url)):
        return None  # nobody has taken a sweep further yet
    with reaching(url):
        return _facts(url, names)


def _facts(url: str, names: Collection[str]) -> OptunaFacts:
    import optuna
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else None,
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
    try:
        schema, wanted = storage.get_current_version(), storage.get_head_version()
        found = storage.get_all_studies() if schema == wanted else []
        studies = {study.study_name: _kept(storage, study, study.study_name in names) for study in found}
        return OptunaFacts(installed=optuna.__version__, schema=schema, wanted=wanted, studies=studies)
    finally:
        close_storage(storage)


def _kept(storage: "RDBStorage", study: Any, with_trials: bool) -> Kept:
    from optuna.trial import TrialState

    ours = str(study.user_attrs.get(STUDY, ""))
    trials = storage.get_all_trials(study._study_id, deepcopy=False) if with_trials else []
    running = frozenset(trial.number for trial in trials if trial.state is TrialState.RUNNING)
    return Kept(name=study.study_name, study_id=ours, running=running, count=len(trials))
