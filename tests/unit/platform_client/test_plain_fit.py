"""The quick check takes nothing that the full validator refuses, and is enough for ordinary settings."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ad_detectors.catalogue import build
from ad_platform.plain_fit import plainly_fits

NUMBERS = st.integers(-3, 3) | st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.5])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "b", "1"])
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
BOUNDS = st.dictionaries(
    st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "title"]),
    st.integers(1, 3),
    max_size=3,
)
CHOICES = st.builds(lambda choices: {"enum": choices}, st.lists(VALUES, min_size=1, max_size=3))
PLAIN = (
    st.builds(
        lambda kind, more: {"type": kind, **more},
        st.sampled_from(["integer", "number", "string", "boolean", "null", "array"]),
        BOUNDS | CHOICES,
    )
    | CHOICES
    | st.builds(lambda value: {"const": value}, VALUES)
)
LISTS = st.builds(
    lambda items, least, most: {"type": "array", "items": items, "minItems": least, "maxItems": most},
    PLAIN,
    st.integers(0, 2),
    st.integers(0, 3),
)
SCHEMAS = PLAIN | LISTS | st.builds(lambda options: {"anyOf": options}, st.lists(PLAIN | LISTS, min_size=1))


@given(VALUES, SCHEMAS)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_what_the_quick_check_takes_the_validator_takes_too(value: object, schema: dict[str, object]):
    if plainly_fits(value, schema):
        assert Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), True, "1", None, 1.5])
def test_what_is_no_ordinary_integer_is_left_to_the_validator(value: object):
    assert not plainly_fits(value, {"type": "integer", "minimum": 0})


def test_every_preset_of_our_own_detectors_is_taken_without_the_validator():
    from ad_platform.catalogue import DetectorEntry, resolve

    for name, value in build().items():
        entry = DetectorEntry.from_json(name, value)
        for preset in entry.presets:
            for field, setting in resolve(entry, preset).items():
                assert plainly_fits(setting, entry.fields[field]), f"{name} {preset} {field}={setting}"
