"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ad_detectors.errors import DataError, NoRoom

_FULL = (errno.ENOSPC, errno.EDQUOT)


def place(files: Mapping[Path, bytes]) -> None:
    """Write files beside their places, sync them, and rename them into place in this order.

    Raises NoRoom for a full disk and DataError for a folder that cannot be written; what was begun is gone.
    """
    begun = {path.with_name(f".{path.name}.begun-{os.getpid()}"): path for path in files}
    try:
        for temporary, path in begun.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(files[path])
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in begun.items():
            temporary.replace(path)
    except OSError as error:
        first = next(iter(files))
        words = f"cannot write {first}: {(error.strerror or str(error)).lower()}"
        if error.errno in _FULL:
            raise NoRoom(f"{words}; make room or choose another folder") from error
        raise DataError(f"{words}; choose another place") from error
    finally:
        for temporary in begun:
            with suppress(OSError):
                temporary.unlink()
