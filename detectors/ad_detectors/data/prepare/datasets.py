"""The datasets that can be prepared, and the one call that does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ad_detectors.data.prepare import readable, visa
from ad_detectors.data.prepare.writing import Prepared, write
from ad_detectors.errors import DataError

DATASETS = ("visa", "btad", "mpdd")


def prepare(
    dataset: str,
    source: Path,
    out: Path,
    *,
    only: Sequence[str] = (),
    link: bool = False,
    told: Callable[[Prepared], None] | None = None,
) -> list[Prepared]:
    """Bring a published dataset into our layout, category by category, each whole or not at all.

    Pictures are copied as they are, or hard-linked; masks become PNG of 0 and 255. May be called again: what
    is there already stays. Raises DataError that says what is missing, NoRoom if the disk is full.
    """
    source, out = (Path(os.path.abspath(path.expanduser())) for path in (source, out))  # noqa: PTH100 - keep links
    if not source.is_dir():
        raise DataError(
            f"{source} {'is no folder' if source.exists() else 'does not exist'}; unpack the dataset"
        )
    if dataset not in DATASETS:
        raise DataError(f"no dataset named '{dataset}'; there are: {', '.join(DATASETS)}")
    if dataset == "visa":
        plans = visa.plans(source, tuple(only))
    else:
        plans = readable.plans(dataset, source, tuple(only))
    prepared = []
    for plan in plans:
        prepared.append(write(plan, out, link=link))
        if told is not None:
            told(prepared[-1])
    return prepared
