"""Overlays have a fixed colour scale: nothing is yellow or red unless it exceeds the threshold."""

import errno
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.errors import ConfigError, DataError, NoRoom
from ad_detectors.report.overlay import heat, overlay, scale_position, write_png

RED_PICTURE = np.tile(np.array([230, 20, 20], np.uint8), (8, 8, 1))
FINITE = st.floats(-1e6, 1e6, width=32)


def reddish(colours: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say where red leads, as it does in yellow, orange and red."""
    return colours[..., 0].astype(int) > colours[..., 1:].max(axis=-1)


@given(st.lists(FINITE, min_size=1, max_size=20), FINITE)
def test_a_place_is_warm_exactly_where_its_value_exceeds_the_anchor(
    values: list[float], anchor: float
) -> None:
    anomaly_map = np.array([values], np.float32)
    expected = anomaly_map > anchor
    assert (reddish(heat(anomaly_map, anchor)) == expected).all()
    picture = np.tile(RED_PICTURE[:1, :1], (1, len(values), 1))
    assert (reddish(overlay(picture, anomaly_map, anchor)) == expected).all()


def test_a_good_part_shows_no_red_even_if_the_part_is_red() -> None:
    calm = np.linspace(0, 3.0, 64).reshape(8, 8)
    assert not reddish(overlay(RED_PICTURE, calm, anchor=3.0)).any()


def test_the_next_number_above_the_anchor_is_warm() -> None:
    anchor = float(np.float32(0.7))
    just = np.nextafter(np.float32(anchor), np.float32(1))
    assert reddish(heat(np.array([[anchor, just]], np.float32), anchor)).tolist() == [[False, True]]


def test_colours_do_not_depend_on_the_other_values_of_a_map() -> None:
    alone, among = heat([[1.3]], 1.0), heat([[0.0, 1.3, 500.0]], 1.0)
    assert (alone[0, 0] == among[0, 1]).all()


def test_far_below_the_anchor_the_picture_is_left_as_it_is_in_grey() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    found = overlay(picture, np.full((8, 8), 0.4), anchor=1.0).astype(int)
    assert (found.max(axis=-1) == found.min(axis=-1)).all()
    grey = np.asarray(Image.fromarray(picture).convert("L"), int)
    assert abs(found[..., 0] - grey).max() <= 1


def test_the_scale_is_in_multiples_of_the_anchor_and_moves_for_scores_below_zero() -> None:
    assert scale_position([0.0, 2.0, 4.0], 2.0).tolist() == [0.0, 1.0, 2.0]
    assert scale_position([-8.0, -4.0, 0.0], -4.0).tolist() == [0.0, 1.0, 2.0]
    assert scale_position([-1.0, 0.0, 1.0], 0.0).tolist() == [0.0, 1.0, 2.0]


def test_what_has_no_colour_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold that is a number"):
        heat([[1.0]], math.nan)
    with pytest.raises(DataError, match="not a number"):
        heat([[math.nan]], 1.0)
    with pytest.raises(DataError, match=r"map's size \(4, 4\)"):
        overlay(RED_PICTURE, np.zeros((4, 4)), 1.0)


def test_a_picture_is_written_as_the_same_bytes_each_time_and_read_back_as_it_was(tmp_path: Path) -> None:
    picture = heat(np.arange(12.0).reshape(3, 4), 6.0)
    write_png(tmp_path / "new" / "a.png", picture)
    write_png(tmp_path / "b.png", picture)
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (np.asarray(Image.open(tmp_path / "b.png")) == picture).all()


def test_a_full_disk_and_a_folder_that_is_a_file_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_png(tmp_path / "file" / "a.png", RED_PICTURE)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(NoRoom, match="No space left on device; make room"):
        write_png(tmp_path / "a.png", RED_PICTURE)
