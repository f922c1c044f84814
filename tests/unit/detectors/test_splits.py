"""Held-out pictures are chosen by name alone, disjointly, and never so many that none are left."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ad_detectors.data.layout import Sample
from ad_detectors.data.splits import NONE, Holdout, split
from ad_detectors.errors import ConfigError

NAMES = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), unique=True, max_size=60)
THOUSANDTHS = st.integers(0, 49_999).map(lambda number: number / 100_000)
HOLDOUTS = st.builds(Holdout, THOUSANDTHS, THOUSANDTHS)


def samples(names: list[str]) -> list[Sample]:
    return [Sample(Path(name), name) for name in names]


def named(count: int) -> list[Sample]:
    return samples([f"train/good/{index:03d}.png" for index in range(count)])


@given(NAMES, HOLDOUTS)
def test_every_picture_is_in_exactly_one_part_and_keeps_its_order(names: list[str], holdout: Holdout) -> None:
    given_order = samples(names)
    parts = split(given_order, holdout)
    for part in (parts.train, parts.validation, parts.calibration):
        assert part == [each for each in given_order if each in part]
    together = parts.train + parts.validation + parts.calibration
    assert sorted(each.name for each in together) == sorted(names)
    assert parts.train or not names, "something is always left to learn from"


@given(NAMES, HOLDOUTS, st.randoms())
def test_who_is_held_out_depends_neither_on_the_order_nor_on_the_place(
    names: list[str], holdout: Holdout, random: object
) -> None:
    first = split(samples(names), holdout)
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    second = split([Sample(Path("/elsewhere") / name, name) for name in shuffled], holdout)
    for part in ("train", "validation", "calibration"):
        assert {each.name for each in getattr(first, part)} == {each.name for each in getattr(second, part)}


@given(st.integers(0, 500), st.integers(0, 49), st.integers(0, 49))
def test_a_part_has_the_floor_of_its_share(count: int, validation: int, calibration: int) -> None:
    parts = split(named(count), Holdout.parse(f"{validation}/{calibration}"))
    assert len(parts.validation) == count * validation // 100
    assert len(parts.calibration) == count * calibration // 100


@given(HOLDOUTS)
def test_a_holdout_goes_through_text_unchanged(holdout: Holdout) -> None:
    assert Holdout.parse(holdout.text) == holdout


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_ten_percent_of_fewer_than_ten_pictures_are_none(count: int) -> None:
    parts = split(named(count), Holdout())
    assert (len(parts.train), parts.validation, parts.calibration) == (count, [], [])


def test_the_split_of_these_names_never_changes() -> None:
    """Checkpoints and stored stages rely on it: another split needs another splits.VERSION."""
    parts = split(named(30), Holdout())
    assert [int(each.name[-7:-4]) for each in parts.validation] == [2, 11, 21]
    assert [int(each.name[-7:-4]) for each in parts.calibration] == [6, 9, 19]
    assert (Holdout().key, NONE.key) == ("train-10/10-v1", "train")


def test_a_name_is_split_alike_however_its_accents_are_composed() -> None:
    composed = [f"\u00e9{index}" for index in range(40)]
    apart = [f"e\u0301{index}" for index in range(40)]
    first, second = (split(samples(names), Holdout()) for names in (composed, apart))
    assert [each.name[1:] for each in first.validation] == [each.name[2:] for each in second.validation]


@pytest.mark.parametrize(
    ("text", "validation", "calibration", "canonical"),
    [("10/10", 0.1, 0.1, "10/10"), ("05/2.50", 0.05, 0.025, "5/2.5"), ("0/29", 0.0, 0.29, "0/29")],
)
def test_a_holdout_is_read_as_percentages(
    text: str, validation: float, calibration: float, canonical: str
) -> None:
    holdout = Holdout.parse(text)
    assert (holdout.validation, holdout.calibration, holdout.text) == (validation, calibration, canonical)


@pytest.mark.parametrize("text", ["none", "0/0", "0.000/0"])
def test_nothing_held_out_has_one_name(text: str) -> None:
    assert Holdout.parse(text).text == "none"
    assert Holdout.parse(text) == NONE


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "10%/10%", "-1/5", "100/0", "1e1/1", "None", "٣/1", "1/1/1"]
)
def test_another_text_says_how_a_holdout_is_written(text: str) -> None:
    with pytest.raises(ConfigError, match="two percentages such as 10/10, or none, not"):
        Holdout.parse(text)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (1.0, 0.0), (-0.1, 0.1), (float("nan"), 0.0)])
def test_shares_that_leave_nothing_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="leaves nothing to learn from"):
        Holdout(*shares)


def test_a_share_too_fine_to_be_written_is_refused() -> None:
    with pytest.raises(ConfigError, match="too fine"):
        Holdout(1 / 3, 0.0)


def test_splitting_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import ad_detectors.data.splits;"
        "print([m for m in ('torch', 'numpy', 'PIL', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
