"""A space is what was asked for, cut down to what goes together."""

from pathlib import Path

import pytest

from ad_platform.catalogue import DetectorEntry, resolve
from ad_platform.errors import InvalidRequest
from ad_platform.sweeps import space
from sweepkit import ENTRY

SLOPE = DetectorEntry.from_json("slope", ENTRY)
BASE = resolve(SLOPE, "tiny")


def names(params: list[str], file: Path | None = None) -> dict[str, str]:
    return {each.name: each.words for each in space.of_request(SLOPE, params, file)}


def test_without_a_word_it_is_what_the_detector_declares() -> None:
    assert names([]) == {"noise_step": "50:500:25", "w": "0:12"}


def test_a_file_says_it_in_text_or_in_tables_and_what_is_typed_goes_before_it(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        'noise_step = "50:100:10"\nmode = ["mean", "max"]\n[w]\nlow = 0.5\nhigh = 8\nlog = true\n'
        "[strides]\nchoices = [[1], [1, 2]]\n"
    )
    found = names(["noise_step=60:70"], file)
    assert found == {"noise_step": "60:70", "mode": "mean,max", "w": "0.5:8:log", "strides": "[1],[1, 2]"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no setting"),
        ("w = ", "is no TOML"),
        ("w = 3", 'needs "a:b"'),
        ("[w]\nlow = 1", "high must be a number"),
        ("[w]\nlow = 1\nhigh = true", "high must be a number"),
        ("[w]\nlow = 1\nhigh = 2\nstpe = 1", 'needs "a:b"'),
        ("[w]\nchoices = 3", "choices are a list"),
        ("[w]\nchoices = [1, 2]\nlow = 1", "choices are a list"),
        ("[x]\nlow = 1\nhigh = 2", "no setting of slope named 'x'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        names([], file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_not_there_and_a_parameter_given_twice_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read .*none.toml: No such file"):
        names([], tmp_path / "none.toml")
    with pytest.raises(InvalidRequest, match="--param w is given twice"):
        names(["w=0:1", "W=0:2"])


def test_a_range_is_cut_to_what_the_rules_allow_with_a_note() -> None:
    fitted = space.fit(SLOPE, BASE, space.of_request(SLOPE, ["noise_step=50:500:25", "w=0:12"], None))
    assert fitted.space[0].words == "50:300:25"
    assert fitted.possible == 1
    assert fitted.notes == (
        "noise_step is searched over 50:300:25 instead of 50:500:25: noise_step = 500 exceeds levels = 300",
    )


def test_choices_that_nothing_goes_with_are_left_out() -> None:
    fitted = space.fit(SLOPE, BASE, space.of_request(SLOPE, ["noise_step=50,100,400"], None))
    assert fitted.space[0].choices == (50, 100)
    assert "is searched without 400" in fitted.notes[0]


def test_a_space_of_which_nothing_is_left_is_an_error_with_the_rule() -> None:
    with pytest.raises(
        InvalidRequest, match=r"noise_step cannot be searched over 400:500: .* exceeds levels = 300"
    ):
        space.fit(SLOPE, BASE, space.of_request(SLOPE, ["noise_step=400:500"], None))


def test_settings_that_go_together_only_at_times_are_told_by_their_share() -> None:
    fitted = space.fit(SLOPE, BASE, space.of_request(SLOPE, ["noise_step=50:500", "levels=50:500"], None))
    assert 0.3 < fitted.possible < 0.7
    assert "of the combinations do not go together" in fitted.notes[-1]


def test_points_are_counted_where_they_can_be() -> None:
    assert space.points(space.of_request(SLOPE, ["noise_step=50:100:25", "mode=mean,max"], None)) == 6
    assert space.points(space.of_request(SLOPE, ["w=0:1"], None)) is None


def test_a_continuous_range_is_cut_to_a_number_that_reads_well() -> None:
    entry = DetectorEntry.from_json(
        "slope", {**ENTRY, "rules": [{"holds": "w < 7.87", "message": "w = {w} is too much"}]}
    )
    fitted = space.fit(entry, BASE, space.of_request(entry, ["w=0:12"], None))
    assert fitted.space[0].words in ("0:7.84", "0:7.85", "0:7.86")
