"""VisA as published, by its own 1-class split (github.com/amazon-science/spot-diff, split_csv/1cls.csv)."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from ad_detectors.data.layout import GOOD
from ad_detectors.data.prepare.plan import Item, Plan, all_there, chosen
from ad_detectors.errors import DataError

SPLIT = "split_csv/1cls.csv"
COLUMNS = ["object", "split", "label", "image", "mask"]
BAD = "bad"  # the published name for all kinds of defects together


def plans(source: Path, only: tuple[str, ...]) -> list[Plan]:
    """Return what to make of VisA; raise DataError that says what is missing in `source`."""
    items: dict[str, list[Item]] = {}
    for line, row in _rows(source / SPLIT):
        try:
            items.setdefault(_name(row["object"]), []).extend(_items(source, row))
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{source / SPLIT} line {line}: {error}; take the file that ships with VisA"
            ) from error
    there = [name for name in items if (source / name).is_dir()]
    wanted = chosen(list(items), there, only, source)
    return all_there([Plan(name, tuple(items[name])) for name in wanted], source)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != COLUMNS:
                raise DataError(
                    f"{path} does not begin with {','.join(COLUMNS)}; take the file that ships with VisA"
                )
            return [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        advice = f"give the folder that holds {SPLIT} and candle/, as VisA unpacks"
        raise DataError(f"{path} is missing; {advice}") from error
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; take the file that ships with VisA") from error


def _items(source: Path, row: dict[str, str]) -> list[Item]:
    split, image = row["split"], _path(row["image"])
    defect = GOOD if row["label"] == "normal" else BAD
    if split not in ("train", "test") or (split, defect) == ("train", BAD):
        raise ValueError(f"'{split},{row['label']}' is not of the 1-class split")
    items = [Item(source / image, f"{split}/{defect}/{image.name}")]
    if defect == BAD:
        mask = _path(row["mask"])
        items.append(Item(source / mask, f"ground_truth/{BAD}/{image.stem}_mask.png", mask=True, coded=True))
    return items


def _name(text: str | None) -> str:
    if not text or text.startswith(".") or len(PurePosixPath(text).parts) != 1:
        raise ValueError(f"'{text}' is no name of a category")
    return text


def _path(text: str | None) -> PurePosixPath:
    """Return a path inside the dataset; a table must not reach out of it."""
    path = PurePosixPath(text or "")
    if not text or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"'{text}' is no path inside the dataset")
    return path
