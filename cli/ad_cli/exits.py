"""What each exit code of adctl means and which error gives it: the one table (people read docs/cli.md)."""

import errno
from enum import IntEnum

from ad_platform.errors import (
    AdctlError,
    Conflict,
    CorruptBundle,
    DiskFull,
    InvalidRequest,
    MissingExtra,
    StoreDamaged,
    StoreMismatch,
    Unavailable,
)


class Exit(IntEnum):
    """An exit code."""

    OK = 0
    BUG = 1  # an error nobody expected: worth a report
    USAGE = 2  # what was typed cannot be done: a wrong option, name, value or folder
    CONFLICT = 3  # it clashes with what has happened: an ended job, a refused promotion
    UNAVAILABLE = 4  # a service or file cannot be reached now: try later, or `adctl up`
    MISMATCH = 5  # the store's schema is older or newer: `adctl db upgrade`, or another adctl
    MISSING = 6  # a part of adctl that is not installed
    DAMAGED = 7  # no room on the disk, or a stored file that does not match its manifest
    JOB_FAILED = 10  # the job waited for or watched ended failed
    JOB_CANCELLED = 11  # the job waited for or watched ended cancelled
    UNFIT = 12  # `adctl doctor` found a problem
    INTERRUPTED = 130  # Ctrl-C


# The first class that fits decides.
TABLE: tuple[tuple[type[AdctlError], Exit], ...] = (
    (InvalidRequest, Exit.USAGE),
    (Conflict, Exit.CONFLICT),
    (Unavailable, Exit.UNAVAILABLE),
    (StoreMismatch, Exit.MISMATCH),
    (MissingExtra, Exit.MISSING),
    (DiskFull, Exit.DAMAGED),
    (CorruptBundle, Exit.DAMAGED),
    (StoreDamaged, Exit.DAMAGED),
    (AdctlError, Exit.BUG),
)

# What the system says of a file where nobody foresaw it; anything else may pass: unavailable.
SYSTEM = {
    errno.ENOSPC: Exit.DAMAGED,
    errno.EDQUOT: Exit.DAMAGED,
    errno.EFBIG: Exit.DAMAGED,
    errno.ENOTDIR: Exit.USAGE,
    errno.EISDIR: Exit.USAGE,
    errno.EEXIST: Exit.USAGE,
    errno.ENAMETOOLONG: Exit.USAGE,
}


def exit_of(error: AdctlError) -> Exit:
    """Return the exit code of an error."""
    return next(code for kind, code in TABLE if isinstance(error, kind))
