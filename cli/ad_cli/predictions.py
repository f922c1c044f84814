"""How scored pictures are printed: as they come, as CSV, or as one JSON document at the end."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ad_cli import out, shapes

if TYPE_CHECKING:
    from ad_platform.specs import Json
    from ad_workers.predicting.output import Prediction
    from ad_workers.predicting.scoring import Run

MANY = 16  # pictures from which on progress is shown
HEADERS = ("SCORE", "DECISION", "IMAGE", "HEAT MAP")


class Shown:
    """Prints the predictions of a run, and counts them; this one prints lines under headers."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self._clock = run, clock
        self.decided: Counter[str] = Counter()
        self._began = clock()
        self._lively = out.lively() and not out.quiet() and len(run.pictures) >= MANY
        self._width = max(len(HEADERS[2]), *(len(str(picture)) for picture in run.pictures))

    @property
    def count(self) -> int:
        """Return how many pictures were dealt with."""
        return self.decided.total()

    @property
    def failed(self) -> int:
        """Return how many have no score."""
        return self.decided["unreadable"]

    def all_of(self, predictions: Iterable[Prediction]) -> None:
        """Print every prediction, and a summary."""
        out.note(self.run.words)
        for warning in self.run.warnings:
            out.warn(warning)
        self.begin()
        for each in predictions:
            self.decided[each.decision or "scored"] += 1
            self._clear()
            if each.error:
                out.error(each.error)
            self.one(each)
            self._progress()
        self._clear()
        self.end()
        self._summary()

    def begin(self) -> None:
        """Print what comes before the first."""
        if not out.quiet():
            out.text(self._line(*HEADERS))

    def one(self, each: Prediction) -> None:
        """Print one of them."""
        if each.score is None:
            return
        if out.quiet():
            out.text(f"{each.path}\t{each.score:.6g}\t{each.decision or '-'}")
        else:
            painted = str(each.overlay or "-")
            out.text(self._line(f"{each.score:.6g}", each.decision or "-", str(each.path), painted))

    def end(self) -> None:
        """Print what comes after the last."""

    def _line(self, score: str, decision: str, path: str, painted: str) -> str:
        line = f"{score:<10}  {decision:<9}  {path:<{self._width}}"
        return (line if self.run.output is None else f"{line}  {painted}").rstrip()

    def _summary(self) -> None:
        counted = ", ".join(f"{number} {decision}" for decision, number in sorted(self.decided.items()))
        out.note(counted)
        if self.run.output is not None:
            out.note(f"heat maps and scores.csv are in {self.run.output.folder}; {self.run.colours}")

    def _progress(self) -> None:
        if not self._lively or not self.count:
            return
        spent = max(self._clock() - self._began, 1e-9)
        every = len(self.run.pictures)
        left = shapes.span(spent / self.count * (every - self.count))
        words = f"{self.count} of {every}  {self.count / spent:.1f} images/s  {left} left"
        sys.stderr.write(words[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._lively:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class AsCsv(Shown):
    """Prints the table that scores.csv holds."""

    def begin(self) -> None:
        """Print the header."""
        out.text(self._table([]).rstrip("\n"))

    def one(self, each: Prediction) -> None:
        """Print a row; an unreadable picture has one too."""
        out.text(self._table([each]).partition("\n")[2].rstrip("\n"))

    def _table(self, predictions: list[Prediction]) -> str:
        from ad_workers.predicting.output import table

        point = self.run.threshold.point
        return table(predictions, point.threshold if point else None)


class AsJson(Shown):
    """Prints one document when all is done."""

    def begin(self) -> None:
        """Print nothing yet."""
        self._images: list[Json] = []

    def one(self, each: Prediction) -> None:
        """Keep it."""
        self._images.append(
            {
                "path": str(each.path),
                "score": each.score,
                "decision": each.decision or None,
                "heat_map": str(each.overlay) if each.overlay else None,
                "error": each.error or None,
            }
        )

    def end(self) -> None:
        """Print the document."""
        folder = self.run.output.folder if self.run.output else None
        out.data({**self.run.to_json(), "out": str(folder) if folder else None, "images": self._images})


def shown_as(run: Run, *, as_csv: bool) -> Shown:
    """Return who prints what was asked for."""
    if as_csv:
        return AsCsv(run)
    return AsJson(run) if out.as_json() else Shown(run)
