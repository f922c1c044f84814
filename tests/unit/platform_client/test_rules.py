"""Promises of names in any case, and of what several settings must be together."""

import pytest

from ad_platform import catalogue
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.naming import match
from ad_platform.rules import Rule, conflict, overlaid
from clientkit import ENTRY

TOY = catalogue.DetectorEntry.from_json("toy", ENTRY)  # type: ignore[arg-type]
COUNT = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None}
TIMED = catalogue.DetectorEntry.from_json(
    "timed",
    {
        "schema": {"properties": {"steps": COUNT, "epochs": COUNT, "skip": COUNT, "noise_step": COUNT}},
        "presets": {"long": {"steps": 100, "epochs": None, "skip": 5, "noise_step": 50}},
        "default_preset": "long",
        "exclusive": [["steps", "epochs"]],
        "rules": [
            {"holds": "skip <= noise_step", "message": "skip = {skip} must be at most {noise_step}"},
            {"holds": "steps is brand_new_syntax()", "message": "never said"},
        ],
    },
)


def test_the_very_same_name_wins_over_one_that_differs_by_case():
    assert match("category", "screw", ["Screw", "screw"]) == "screw"
    assert match("category", "SCREW", ["Screw", "nut"]) == "Screw"


def test_a_name_that_fits_several_in_its_case_only_is_refused_with_them():
    with pytest.raises(InvalidRequest, match="'SCREW' fits several: Screw, screw"):
        match("category", "SCREW", ["Screw", "screw"])


def test_a_name_nobody_knows_gets_the_nearest_in_its_own_case():
    with pytest.raises(UnknownName, match=r"did you mean Screw\?"):
        match("category", "scrww", ["Screw", "nut"])


def test_detectors_presets_and_settings_are_found_in_any_case():
    known = catalogue.Catalogue({"Toy": TOY})

    assert known.entry("tOY") is TOY
    assert catalogue.resolve(TOY, "LARGE", ["Image_Size=32"])["image_size"] == 32
    assert catalogue.resolve(TOY, None, {"LR": 0.5})["lr"] == 0.5
    assert catalogue.resolve(TOY, None, ["mode=Median"])["mode"] == "median"


def test_of_two_settings_that_exclude_each_other_the_given_one_wins_over_the_presets():
    config = catalogue.resolve(TIMED, None, ["epochs=3"])

    assert (config["steps"], config["epochs"]) == (None, 3)


def test_two_settings_that_exclude_each_other_cannot_both_be_given():
    with pytest.raises(InvalidValue, match="steps = 4 and epochs = 3 are both given; give one of them"):
        catalogue.resolve(TIMED, None, ["steps=4", "epochs=3"])


def test_one_of_two_settings_that_exclude_each_other_is_needed():
    with pytest.raises(InvalidValue, match="steps and epochs are both null"):
        catalogue.resolve(TIMED, None, ["steps=none"])


def test_a_rule_that_does_not_hold_is_said_with_the_values():
    with pytest.raises(InvalidValue, match="skip = 51 must be at most 50"):
        catalogue.resolve(TIMED, None, ["skip=51"])


def test_what_base_gives_lies_between_the_preset_and_the_settings():
    config = catalogue.resolve(TIMED, None, ["skip=2"], base={"skip": 3, "epochs": 7})

    assert config == {"steps": None, "epochs": 7, "skip": 2, "noise_step": 50}


def test_a_text_that_is_a_legal_value_as_it_stands_is_kept():
    assert catalogue.resolve(TOY, None, {"backbone": "none", "clip": "none"})["backbone"] == "none"
    assert catalogue.resolve(TOY, None, {"backbone": "none", "clip": "none"})["clip"] is None


def test_a_catalogue_entry_keeps_its_rules_through_json():
    assert catalogue.DetectorEntry.from_json("timed", TIMED.to_json()) == TIMED


@pytest.mark.parametrize(
    ("holds", "fits"),
    [
        ("a % b == 0", True),
        ("a // b > 3", False),
        ("a % 2 ** (b - 1) == 2", True),
        ("a / b < 2.5 and not c", True),
        ("b + 1 <= a - 1 < 5 * b", True),
        ("max(items) <= a or min(items) < -1", True),
        ("len(items) == 2", False),
        ("b in items if not c else b not in [3, 4]", True),
        ("c is None", False),
        ("name != 'none'", True),
        ("int(2.5 * b + 0.5) < a", False),
    ],
)
def test_a_condition_is_read_as_python_would_run_it(holds, fits):
    config = {"a": 6, "b": 3, "c": False, "items": [1, 3, 5], "name": "x"}

    assert eval(holds, {}, dict(config)) is fits  # noqa: S307 - of our own rules
    assert (conflict(config, [Rule(holds=holds, message="no")], []) is None) is fits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "holds",
    [
        "__import__('os').abort()",
        "name.upper() == 'X'",
        "[each for each in items]",
        "'x' * 10**12",
        "'x' * 1000000 * 1000000",
        "1 / 0",
        "2 ** 10**9 > 1",
        "2 ** -1 > 1",
        "((2**50) ** 64) ** 64 > 1",
        "unknown > 1",
        "(",
        "lambda: 1",
    ],
)
def test_a_rule_that_cannot_be_read_is_left_to_the_worker_and_never_run(holds):
    assert conflict({"name": "x", "items": []}, [Rule(holds=holds, message="no")], []) is None


def test_a_message_shows_values_and_reaches_into_nothing():
    rule = Rule(holds="a > 1", message="a = {a}, less than {(a + 3) / 2}, {a.__class__}, {missing}")

    assert conflict({"a": 1}, [rule], []) == "a = 1, less than 2.0, {a.__class__}, {missing}"


def test_values_laid_over_a_config_leave_other_groups_alone():
    config = {"steps": 1, "epochs": None, "x": 1, "y": None}

    assert overlaid(config, {"epochs": 2}, [("steps", "epochs"), ("x", "y")]) == {
        "steps": None,
        "epochs": 2,
        "x": 1,
        "y": None,
    }
