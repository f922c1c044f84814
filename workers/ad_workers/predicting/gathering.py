"""What a prediction job has scored, brought here: the rows and files that the same call here would make."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ad_platform import predictions
from ad_platform.client import Client
from ad_platform.errors import CorruptBundle, InvalidRequest
from ad_platform.predictions import Gathered
from ad_platform.storage.contract import Storage
from ad_platform.storage.parts import Use
from ad_workers.predicting import rows
from ad_workers.predicting.rows import Prediction
from ad_workers.predicting.writing import placing


def gathered(
    client: Client, found: Gathered, out: Path | None, form: str, *, overwrite: bool = False
) -> Iterator[Prediction]:
    """Yield the predictions of a job in the order of its pictures; with `out`, fill that folder as well.

    What is drawn comes part by part, and the table last of all. Raises InvalidRequest for what lies there
    already, CorruptBundle, StorageDown, DiskFull, Unavailable.
    """
    if out is None:
        yield from _predictions(client, found, lambda use, each: each)
        return
    table = out / rows.TABLES[form]
    if out.exists() and not out.is_dir():
        raise InvalidRequest(f"--out {out} is a file; name a folder")
    if table.exists() and not overwrite:
        raise InvalidRequest(f"{table} is there already; choose another folder for --out, or add --overwrite")
    drawn = _Drawn(client.storage, out)
    with _written(table, found, form) as write:
        for each in _predictions(client, found, drawn.placed):
            write(each)
            yield each


class _Drawn:
    """Copies what was drawn, part by part, below a folder."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._there: Use | None = None

    def placed(self, use: Use, each: Prediction) -> Prediction:
        """Return a prediction that says where its files lie here."""
        if not (each.overlay or each.mask or each.map):
            return each
        if use is not self._there:
            self._bring(use)
        return replace(
            each,
            overlay=str(self._folder / each.overlay) if each.overlay else "",
            mask=str(self._folder / each.mask) if each.mask else "",
            map=str(self._folder / each.map) if each.map else "",
        )

    def _bring(self, use: Use) -> None:
        with tempfile.TemporaryDirectory(prefix="adctl-drawn-") as scratch:
            manifest = self._storage.fetch(use.part.drawn, Path(scratch))
            for name in manifest.files:
                with placing(self._folder / name) as begun:
                    begun.write_bytes(Path(scratch, name).read_bytes())
        self._there = use


def _predictions(
    client: Client, found: Gathered, placed: Callable[[Use, Prediction], Prediction]
) -> Iterator[Prediction]:
    for use, values in predictions.rows(client, found):
        try:
            made = [Prediction.from_json(value) for value in values]
        except (KeyError, TypeError) as error:
            raise CorruptBundle(f"{use.part.prefix} holds rows that cannot be read ({error})") from error
        for each in made:
            yield placed(use, each)


@contextmanager
def _written(table: Path, found: Gathered, form: str) -> Iterator[Callable[[Prediction], None]]:
    """Give what writes a row of the table, which is there once all are written."""
    with placing(table) as begun, begun.open("wb") as file:
        file.writelines(rows.table((), found.cut, form))

        def write(each: Prediction) -> None:
            file.write(rows.line_of(each, found.cut, form))

        yield write
