"""A study as Optuna keeps it: asked for settings, told what came of them."""

import contextlib
import sqlite3
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock

from ad_platform.errors import MissingExtra, StoreDown
from ad_platform.failpoints import Edge, reach
from ad_platform.records import Study, Trial
from ad_platform.settings import Settings, embedded_database
from ad_platform.specs import Json
from ad_platform.states import TrialState
from ad_platform.store.database import explaining
from ad_platform.sweeps import optuna_methods
from ad_platform.sweeps.objectives import MAX
from ad_platform.sweeps.study_spec import StudySpec

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

SCHEMA = "optuna"  # of a PostgreSQL database: its tables would clash with the store's
STUDY = "adctl.study"  # attribute of a study that names ours
RETRY_OF = "retry_of"  # attribute of a trial that stands in the place of a failed one
PATIENCE = 60  # seconds a writer waits for another one on SQLite


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Settings that Optuna proposes, under the number it counts them by."""

    number: int
    params: Mapping[str, Json]
    retry_of: int | None = None


def storage_url(settings: Settings) -> str:
    """Return where Optuna keeps its studies: elsewhere, or beside the store, but never among its tables."""
    if settings.optuna_url:
        return _driven(settings.optuna_url)
    url = settings.database_url
    if url == embedded_database(settings.home):
        return f"sqlite:///{settings.home / 'optuna.db'}"
    if url.startswith("sqlite"):
        head, _, path = url.partition(":///")
        file = Path(path)
        return f"{head}:///{file.with_name(f'{file.stem}-optuna{file.suffix}')}"
    address, _, query = url.partition("?")
    option = f"options={quote(f'-csearch_path={SCHEMA}')}"
    return f"{_driven(address)}?{f'{query}&' if query else ''}{option}"


def _driven(url: str) -> str:
    """Return an address that names the driver that is installed."""
    kind, mark, rest = url.partition("://")
    return f"postgresql+psycopg{mark}{rest}" if kind.startswith("postgres") else url


def open_storage(settings: Settings) -> "RDBStorage":
    """Open Optuna's storage, making it first where there is none; raise MissingExtra or StoreDown."""
    try:
        from optuna import logging
        from optuna.exceptions import ExperimentalWarning
        from optuna.storages import RDBStorage
    except ImportError as error:
        raise MissingExtra("a sweep", "worker") from error
    logging.set_verbosity(logging.WARNING)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    url = storage_url(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options = {"connect_args": {"timeout": PATIENCE}}
    # Several that make its tables at once get in each other's way.
    with FileLock(settings.home / "optuna.lock"), reaching(url):
        if url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(url.partition(":///")[2])) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        return RDBStorage(url, engine_kwargs=options)


def close_storage(storage: "RDBStorage") -> None:
    """Close every connection of a storage."""
    storage.remove_session()
    storage.engine.dispose()


@contextlib.contextmanager
def reaching(url: str) -> Any:
    """Turn what Optuna says of a database that does not answer into StoreDown."""
    from optuna.exceptions import StorageInternalError

    where = url.partition("@")[2].partition("?")[0] or url.removeprefix("sqlite:///")
    try:
        with explaining(where):  # what Optuna lets through while it makes its tables
            yield
    except StorageInternalError as error:
        raise StoreDown(f"the storage of sweeps {where} does not answer: {error}") from error


@dataclass
class OptunaStudy:
    """One study in Optuna's storage; whoever uses it holds the study's claim."""

    storage: "RDBStorage"
    record: Study
    spec: StudySpec
    url: str = ""

    def __post_init__(self) -> None:
        import optuna

        way = optuna.study.StudyDirection
        directions = [
            way.MAXIMIZE if each.direction == MAX else way.MINIMIZE for each in self.spec.objectives
        ]
        self._distributions = optuna_methods.distributions(self.spec.space)
        self._dimensions = {each.name: each for each in self.spec.space}
        with reaching(self.url):
            self.study: optuna.Study = optuna.create_study(
                storage=self.storage,
                study_name=self.record.name,
                directions=directions,
                pruner=optuna_methods.pruner(self.spec.pruner),
                load_if_exists=True,
            )
            if STUDY not in self.study.user_attrs:
                self.study.set_user_attr(STUDY, self.record.id)
                self.study.set_metric_names([each.metric for each in self.spec.objectives])

    def rest(self) -> None:
        """Let go of the connection until the next turn: nothing stays open meanwhile."""
        self.storage.remove_session()

    def count(self) -> int:
        """Return how many trials there are, in whatever state."""
        with reaching(self.url):
            return len(self._trials())

    def numbers(self) -> list[int]:
        """Return the numbers of all trials."""
        with reaching(self.url):
            return [trial.number for trial in self._trials()]

    def unfinished(self) -> list[int]:
        """Return the numbers of the trials that were asked for and not told of, in order."""
        from optuna.trial import TrialState as State

        with reaching(self.url):
            return [trial.number for trial in self._trials(State.RUNNING)]

    def ask(self) -> Asked:
        """Ask for the settings of one more trial."""
        with reaching(self.url):
            self.study.sampler = optuna_methods.sampler(self.spec, len(self._trials()))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self.study.ask(fixed_distributions=dict(self._distributions))
            reach(Edge.ASKED)
            return self._asked(trial.number, trial.params, trial.user_attrs)

    def again(self, failed: Trial) -> Asked:
        """Ask for a trial with the settings of a failed one, which may be waiting there already."""
        from optuna.trial import TrialState as State

        with reaching(self.url):
            waiting = [trial.user_attrs.get(RETRY_OF) for trial in self._trials(State.WAITING)]
            if failed.number not in waiting:
                params = {name: self._stored(name, value) for name, value in failed.params.items()}
                self.study.enqueue_trial(params, user_attrs={RETRY_OF: failed.number})
        return self.ask()

    def take_over(self, number: int) -> Asked:
        """Return the settings of a trial that somebody asked for and did not live to write down."""
        import optuna

        with reaching(self.url):
            known = self._trials()[number]
            if set(self._distributions) <= set(known.params):
                return self._asked(number, known.params, known.user_attrs)
            self.study.sampler = optuna_methods.sampler(self.spec, number)
            trial = optuna.trial.Trial(self.study, known._trial_id)
            for name, distribution in self._distributions.items():
                trial._suggest(name, distribution)
            return self._asked(number, trial.params, trial.user_attrs)

    def tell(self, number: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell how a trial ended; what was told before stands."""
        from optuna.trial import TrialState as State

        known = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED}
        with reaching(self.url):
            self.study.sampler = optuna_methods.sampler(self.spec, number)
            complete = state is TrialState.COMPLETE
            self.study.tell(
                number,
                list(values) if complete and values is not None else None,
                state=known.get(state, State.FAIL),
                skip_if_finished=True,
            )
        reach(Edge.TOLD)

    def report(self, number: int, rungs: Mapping[int, float]) -> bool:
        """Report what a trial has reached after each rung; say whether any of it is new."""
        with reaching(self.url):
            trial = self._trials()[number]
            known = trial.intermediate_values
            fresh = {rung: value for rung, value in sorted(rungs.items()) if rung not in known}
            for rung, value in fresh.items() if not trial.state.is_finished() else ():
                self.storage.set_trial_intermediate_value(trial._trial_id, rung, value)
        return bool(fresh)

    def prunes(self, number: int, rungs: Mapping[int, float]) -> bool:
        """Report what a trial has reached, and say whether it is not worth finishing."""
        if not self.report(number, rungs):
            return False
        with reaching(self.url):
            return bool(self.study.pruner.prune(self.study, self._trials()[number]))

    def add(self, trials: Iterable[Trial]) -> None:
        """Add trials as they stand, under the next numbers: of another study, or lost here."""
        from optuna.trial import TrialState as State
        from optuna.trial import create_trial

        known = {
            TrialState.COMPLETE: State.COMPLETE,
            TrialState.PRUNED: State.PRUNED,
            TrialState.RUNNING: State.RUNNING,
        }
        with reaching(self.url):
            for trial in trials:
                complete = trial.state is TrialState.COMPLETE
                frozen = create_trial(
                    state=known.get(trial.state, State.FAIL),
                    values=list(trial.values) if complete and trial.values is not None else None,
                    params={name: self._stored(name, value) for name, value in trial.params.items()},
                    distributions=dict(self._distributions),
                )
                self.study.add_trial(frozen)

    def state_of(self, number: int) -> tuple[TrialState, tuple[float, ...] | None]:
        """Return how a trial stands there, with its values."""
        from optuna.trial import TrialState as State

        with reaching(self.url):
            trial = self._trials()[number]
        known = {
            State.COMPLETE: TrialState.COMPLETE,
            State.PRUNED: TrialState.PRUNED,
            State.FAIL: TrialState.FAILED,
        }
        values = tuple(trial.values) if trial.values else None
        return known.get(trial.state, TrialState.RUNNING), values

    def _trials(self, *states: Any) -> "list[FrozenTrial]":
        self.study._thread_local.cached_all_trials = None
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _asked(self, number: int, params: Mapping[str, Any], attributes: Mapping[str, Any]) -> Asked:
        meant = {
            name: optuna_methods.meant(self._dimensions[name], value)
            for name, value in params.items()
            if name in self._dimensions
        }
        return Asked(number=number, params=meant, retry_of=attributes.get(RETRY_OF))

    def _stored(self, name: str, value: Json) -> Any:
        return optuna_methods.stored(self._dimensions[name], value)
