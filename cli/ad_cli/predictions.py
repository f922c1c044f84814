"""How scored pictures are printed: as they come, as CSV or JSON Lines, or as one JSON document at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ad_cli import out
from ad_platform.errors import InvalidRequest

if TYPE_CHECKING:
    from ad_cli.progress import Progress
    from ad_platform.specs import Json
    from ad_workers.predicting.rows import Prediction

HEADERS = ("SCORE", "DECISION", "IMAGE", "HEAT MAP")
TABLE, CSV, JSONL = "table", "csv", "jsonl"
FORMATS = (TABLE, CSV, JSONL)


def format_of(text: str | None, *, as_csv: bool) -> str:
    """Return the format that is asked for: table, csv or jsonl; raise InvalidRequest for two of them."""
    named = [f"--format {text}"] if text is not None else []
    named += ["--csv"] if as_csv and text != CSV else []
    named += ["--json"] if out.as_json() else []
    if len(named) > 1:
        raise InvalidRequest(f"give either {' or '.join(named)}, not both")
    if text is not None and text not in FORMATS:
        raise InvalidRequest(f"--format is {', '.join(FORMATS)}, not '{text}'")
    return CSV if as_csv else text or TABLE


class Shown:
    """Prints predictions and counts them; this one prints lines under headers."""

    def __init__(self, progress: Progress, *, width: int, painted: bool) -> None:
        """Print with a column of paths so wide, and one of heat maps where there are any."""
        self.progress, self.decided = progress, Counter[str]()
        self._width, self._painted = max(len(HEADERS[2]), width), painted

    @property
    def count(self) -> int:
        """Return how many pictures were dealt with."""
        return self.decided.total()

    @property
    def failed(self) -> int:
        """Return how many have no score."""
        return self.decided["unreadable"]

    @property
    def counts(self) -> str:
        """Return how many were decided how."""
        return ", ".join(f"{number} {decision}" for decision, number in sorted(self.decided.items()))

    def all_of(self, predictions: Iterable[tuple[Prediction, float | None]]) -> None:
        """Print every prediction with the threshold on its score, as it comes."""
        self.begin()
        for each, threshold in predictions:
            self.add(each, threshold)
        self.progress.clear()
        self.end()

    def add(self, each: Prediction, threshold: float | None) -> None:
        """Print one prediction, and how far all have come."""
        self.decided[each.decision or "scored"] += 1
        self.progress.before()
        if each.error:
            self.progress.clear()
            out.error(each.error)
        self.one(each, threshold)
        self.progress.after(self.count)

    def begin(self) -> None:
        """Print what comes before the first."""
        if not out.quiet():
            out.text(self._line(*HEADERS))

    def one(self, each: Prediction, threshold: float | None) -> None:
        """Print one of them."""
        if each.score is None:
            return
        if out.quiet():
            out.text(f"{each.path}\t{each.score:.6g}\t{each.decision or '-'}")
        else:
            out.text(self._line(f"{each.score:.6g}", each.decision or "-", each.path, each.overlay or "-"))

    def end(self) -> None:
        """Print what comes after the last."""

    def _line(self, score: str, decision: str, path: str, painted: str) -> str:
        line = f"{score:<10}  {decision:<9}  {path:<{self._width}}"
        return (f"{line}  {painted}" if self._painted else line).rstrip()


class AsCsv(Shown):
    """Prints the table that scores.csv holds."""

    def begin(self) -> None:
        """Print the header."""
        from ad_workers.predicting.rows import csv_header

        out.text(csv_header())

    def one(self, each: Prediction, threshold: float | None) -> None:
        """Print a row; an unreadable picture has one too."""
        from ad_workers.predicting.rows import csv_line

        # A name that is no text is written as the bytes that it is, as in the file.
        out.raw(f"{csv_line(each, threshold)}\n".encode("utf-8", "surrogateescape"))


class AsJsonLines(Shown):
    """Prints the lines that scores.jsonl holds."""

    def begin(self) -> None:
        """Print nothing yet."""

    def one(self, each: Prediction, threshold: float | None) -> None:
        """Print a line; an unreadable picture has one too."""
        from ad_workers.predicting.rows import json_line

        out.text(json_line(each, threshold))


class AsJson(Shown):
    """Keeps all, for one document when all is done."""

    def begin(self) -> None:
        """Print nothing yet."""
        self.images: list[Json] = []

    def one(self, each: Prediction, threshold: float | None) -> None:
        """Keep it."""
        self.images.append(each.to_json())


def shown_as(form: str, progress: Progress, *, width: int, painted: bool, stream: bool = False) -> Shown:
    """Return who prints what was asked for; what never ends is JSON Lines where it would be a document."""
    if out.as_json():
        return (AsJsonLines if stream else AsJson)(progress, width=width, painted=painted)
    kinds: dict[str, type[Shown]] = {TABLE: Shown, CSV: AsCsv, JSONL: AsJsonLines}
    return kinds[form](progress, width=width, painted=painted)
