"""What Optuna keeps of sweeps, seen from outside: to say whether two of its storages hold the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_platform.settings import Settings
from ad_platform.sweeps.optuna_study import close_storage, open_storage, reaching, storage_url

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class KeptStudy:
    """A study as Optuna has it, in a form that can be compared."""

    about: str  # directions and attributes
    trials: tuple[str, ...]  # each with all that is known of it, by number


def database_of(settings: Settings) -> str:
    """Return the address of the database that Optuna keeps its studies in."""
    return storage_url(settings)


def file_of(settings: Settings) -> Path | None:
    """Return the file of Optuna's studies, None where they lie in no file."""
    url = storage_url(settings)
    return Path(url.partition(":///")[2]) if url.startswith("sqlite") else None


def make_tables(settings: Settings) -> None:
    """Have Optuna make its tables where there are none; raise MissingExtra or StoreDown."""
    close_storage(open_storage(settings))


def kept(settings: Settings) -> dict[str, KeptStudy]:
    """Return every study by its name."""
    storage = open_storage(settings)
    try:
        with reaching(storage_url(settings)):
            return {
                study.study_name: KeptStudy(
                    about=repr(
                        (
                            [way.name for way in study.directions],
                            _plain(study.user_attrs),
                            _plain(study.system_attrs),
                        )
                    ),
                    trials=tuple(_trials(storage, study._study_id)),
                )
                for study in storage.get_all_studies()
            }
    finally:
        close_storage(storage)


def differences(here: Mapping[str, KeptStudy], there: Mapping[str, KeptStudy]) -> list[str]:
    """Say in which studies two storages differ, a line for each."""
    found = []
    for name in sorted({*here, *there}):
        one, other = here.get(name), there.get(name)
        if one is None or other is None:
            found.append(f"the study '{name}' is on one side alone")
        elif one.about != other.about:
            found.append(f"the study '{name}' says other things of itself")
        elif one.trials != other.trials:
            found.append(f"the study '{name}' has other trials: {_first_other(one.trials, other.trials)}")
    return found


def _first_other(one: Sequence[str], other: Sequence[str]) -> str:
    if len(one) != len(other):
        return f"{len(one)} and {len(other)}"
    return f"number {next(n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)}"


def _trials(storage: "RDBStorage", study_id: int) -> list[str]:
    found = sorted(storage.get_all_trials(study_id, deepcopy=False), key=lambda trial: trial.number)
    return [_told(trial) for trial in found]


def _told(trial: "FrozenTrial") -> str:
    return repr(
        (
            trial.number,
            trial.state.name,
            trial.values,
            _plain(trial.params),
            {name: repr(each) for name, each in sorted(trial.distributions.items())},
            _plain(trial.intermediate_values),
            _plain(trial.user_attrs),
            _plain(trial.system_attrs),
            trial.datetime_start,
            trial.datetime_complete,
        )
    )


def _plain(value: Mapping[Any, Any]) -> list[tuple[str, str]]:
    return sorted((str(name), repr(each)) for name, each in value.items())
