"""What became of one picture, and how it is written: a row of CSV, a line of JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from ad_platform.specs import Json

COLUMNS = ("path", "score", "decision", "threshold", "heat_map", "mask", "map", "error")
NORMAL, ANOMALOUS, UNREADABLE = "normal", "anomalous", "unreadable"
CSV, JSONL = "csv", "jsonl"
TABLES = {CSV: "scores.csv", JSONL: "scores.jsonl"}
_NOTHING: Mapping[str, Json] = {}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What became of one picture."""

    path: str  # as it was named; "-" for what came from stdin
    score: float | None = None  # None: it could not be read or scored
    anomalous: bool | None = None  # None: there is no threshold
    overlay: str = ""  # where the heat map lies
    mask: str = ""  # and the picture of what exceeds the threshold on the map
    map: str = ""  # and the map's own numbers
    error: str = ""  # why there is no score

    @property
    def decision(self) -> str:
        """Return normal or anomalous; unreadable without a score, and nothing without a threshold."""
        if self.error:
            return UNREADABLE
        return "" if self.anomalous is None else ANOMALOUS if self.anomalous else NORMAL

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON, with null for what there is not."""
        return {
            "path": self.path,
            "score": self.score,
            "decision": self.decision or None,
            "heat_map": self.overlay or None,
            "mask": self.mask or None,
            "map": self.map or None,
            "error": self.error or None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Read what `to_json` gave; other names beside it are passed over. Raises KeyError, TypeError."""
        score, decision = value["score"], value["decision"]
        if score is not None and not isinstance(score, int | float):
            raise TypeError(f"a score is a number, not {score!r}")
        return cls(
            path=str(value["path"]),
            score=None if score is None else float(score),
            anomalous={ANOMALOUS: True, NORMAL: False}.get(str(decision)),
            overlay=str(value.get("heat_map") or ""),
            mask=str(value.get("mask") or ""),
            map=str(value.get("map") or ""),
            error=str(value.get("error") or ""),
        )


def json_line(each: Prediction, threshold: float | None, more: Mapping[str, Json] = _NOTHING) -> str:
    """Return a prediction, and more that is known of it, as one line of JSON without its end.

    It can be written as UTF-8 whatever the path: a name of other bytes is kept in JSON's own escapes.
    """
    value = each.to_json()
    whole: dict[str, Json] = {
        **{name: value[name] for name in ("path", "score", "decision")},
        "threshold": threshold,
        **{name: value[name] for name in ("heat_map", "mask", "map", "error")},
        **more,
    }
    text = json.dumps(whole, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(whole)
    return text


def csv_header() -> str:
    """Return the first line of a table, without its end."""
    return ",".join(COLUMNS)


def csv_line(each: Prediction, threshold: float | None) -> str:
    """Return a prediction as a row of CSV, without its end; a path may hold a line break, in quotes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(
        (
            each.path,
            "" if each.score is None else repr(each.score),
            each.decision,
            "" if threshold is None else repr(threshold),
            *(each.overlay, each.mask, each.map, each.error),
        )
    )
    return text.getvalue()


def table(predictions: Iterable[Prediction], threshold: float | None, form: str) -> Iterator[bytes]:
    """Yield the lines of a file of predictions: JSON Lines, or CSV below a header.

    In CSV a name that is no UTF-8 is written as the bytes that it is.
    """
    if form == CSV:
        yield f"{csv_header()}\n".encode()
    for each in predictions:
        yield line_of(each, threshold, form)


def line_of(each: Prediction, threshold: float | None, form: str) -> bytes:
    """Return a prediction as a whole line of such a file."""
    write = csv_line if form == CSV else json_line
    return f"{write(each, threshold)}\n".encode("utf-8", "surrogateescape")
