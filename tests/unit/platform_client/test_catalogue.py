"""Promises of the catalogue: settings are checked, without any detector, by the schema it publishes."""

import json

import pytest

from ad_platform import catalogue
from ad_platform.config_text import describe
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from clientkit import ENTRY

TOY = catalogue.DetectorEntry.from_json("toy", ENTRY)  # type: ignore[arg-type]


def test_the_default_preset_fills_every_setting():
    assert catalogue.resolve(TOY) == ENTRY["presets"]["tiny"]  # type: ignore[index]


def test_a_preset_that_leaves_settings_out_gets_their_defaults():
    config = catalogue.resolve(TOY, "large")

    assert (config["image_size"], config["lr"], config["layers"]) == (256, 0.001, [1, 2])


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("image_size=8", "image_size", 8),
        ("lr=1e-3", "lr", 0.001),
        ("lr=1", "lr", 1.0),
        ("mode=median", "mode", "median"),
        ("layers=1, 2,3", "layers", [1, 2, 3]),
        ("layers=[4, 5]", "layers", [4, 5]),
        ("layers=7", "layers", [7]),
        ("clip=none", "clip", None),
        ("clip=0.5", "clip", 0.5),
        ("flip=True", "flip", True),
        ("flip=off", "flip", False),
        ("backbone=none", "backbone", "none"),
        ("backbone=a=b", "backbone", "a=b"),
        (" lr = 0.5 ", "lr", 0.5),
    ],
)
def test_a_text_is_read_by_the_type_of_its_setting(text, name, value):
    got = catalogue.resolve(TOY, None, [text])[name]

    assert got == value
    assert type(got) is type(value)


def test_values_given_as_a_mapping_are_taken_as_they_are():
    assert catalogue.resolve(TOY, None, {"image_size": 9, "flip": True})["image_size"] == 9


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 513}, "image_size must be an integer from 8 to 512, not 513"),
        ({"image_size": "big"}, "an integer from 8 to 512"),
        ({"image_size": True}, "an integer from 8 to 512"),
        ({"lr": "fast"}, "lr must be a number above 0 and at most 1, not 'fast'"),
        ({"layers": [0]}, "layers must be"),
        ({"clip": -1}, "a number of at least 0 or none, not -1"),
        (["lr=inf"], "lr must be a number above 0 and at most 1, not 'inf'"),
        (["=3"], "name=value"),
        ({"mode": "man"}, "one of mean, median"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_range(settings, words):
    with pytest.raises(InvalidValue, match=words.replace("(", r"\(")):
        catalogue.resolve(TOY, None, settings)


def test_unknown_names_get_the_nearest_ones():
    known = catalogue.Catalogue({"toy": TOY})

    with pytest.raises(UnknownName, match="did you mean image_size"):
        catalogue.resolve(TOY, None, ["img_size=3"])
    with pytest.raises(UnknownName, match="did you mean tiny"):
        catalogue.resolve(TOY, "tny")
    with pytest.raises(UnknownName, match="did you mean toy"):
        known.entry("toi")
    assert known.entry("TOY") is TOY


def test_what_is_published_wins_over_what_is_built_in(monkeypatch):
    monkeypatch.setattr(catalogue, "built_in", lambda: {"toy": {"summary": "old"}, "other": {}})

    known = catalogue.load({"toy": ENTRY})  # type: ignore[dict-item]

    assert known.names() == ["other", "toy"]
    assert known.entry("toy").summary == "A detector for tests."


def test_a_published_preset_gives_what_its_category_says_in_any_case():
    config = catalogue.resolve(TOY, "paper", ["clip=0.5"], "sCREW")

    assert (config["image_size"], config["lr"], config["mode"], config["clip"]) == (256, 0.2, "median", 0.5)
    assert catalogue.resolve(TOY, "paper", (), "carpet")["lr"] == 0.1


@pytest.mark.parametrize(
    ("category", "words"),
    [
        (None, "depend on the category"),
        ("scrw", "did you mean Screw"),
        ("zipper", "there are: Screw, carpet"),
    ],
)
def test_a_category_that_was_not_published_is_refused_with_those_that_were(category, words):
    with pytest.raises(InvalidRequest, match=words):
        catalogue.resolve(TOY, "paper", (), category)


def test_an_empty_catalogue_says_how_to_fill_it():
    with pytest.raises(InvalidRequest, match="adctl up"):
        catalogue.Catalogue({}).entry("toy")


def test_an_entry_that_cannot_be_read_is_named():
    with pytest.raises(InvalidValue, match="entry of 'toy'"):
        catalogue.load({"toy": {"presets": [1]}})


def test_an_entry_goes_through_json_unchanged():
    assert catalogue.DetectorEntry.from_json("toy", json.loads(json.dumps(TOY.to_json()))) == TOY


def test_every_detector_of_the_library_can_be_resolved_in_every_preset():
    from ad_detectors import catalogue as library
    from ad_detectors import registry

    for entry in catalogue.load(library.build()).entries.values():  # type: ignore[arg-type]
        for preset in entry.presets:
            config = catalogue.resolve(entry, preset)
            assert config == dict(entry.presets[preset])
        for preset, published in entry.published.items():
            for category in published.categories:
                config = catalogue.resolve(entry, preset, (), category)
                assert config == registry.resolve(entry.name, preset, {}, category)
        assert all(describe(schema) for schema in entry.fields.values())
