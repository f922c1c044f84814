"""What the detectors raise, said as the platform says it: so that one table gives the exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from ad_detectors.errors import (
    ConfigError,
    DataError,
    DetectorError,
    NoRoom,
    StateError,
    WeightsNotFound,
)
from ad_platform.errors import (
    AdctlError,
    CorruptBundle,
    DiskFull,
    InvalidData,
    InvalidRequest,
    InvalidValue,
    Unavailable,
)
from ad_platform.states import FailureClass
from ad_workers.exits import classify

# The first class that fits decides.
TABLE: tuple[tuple[type[DetectorError], type[AdctlError]], ...] = (
    (NoRoom, DiskFull),
    (DataError, InvalidData),
    (ConfigError, InvalidValue),
    (StateError, CorruptBundle),
    (WeightsNotFound, Unavailable),
    (DetectorError, InvalidRequest),
)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn the detectors' errors, and too little memory, into the platform's."""
    try:
        yield
    except DetectorError as error:
        kind = next(ours for theirs, ours in TABLE if isinstance(error, theirs))
        raise kind(str(error)) from error
    except (MemoryError, RuntimeError) as error:
        if classify(error) is not FailureClass.OOM:
            raise
        raise Unavailable(
            "there is not enough memory to score here; try --device cpu, or free some"
        ) from error
