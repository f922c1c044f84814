"""Configs are checked when they are built, survive JSON exactly, and say what is wrong in one line."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from ad_detectors import config
from ad_detectors.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every kind of field a detector may have."""

    image_size: Annotated[int, Field(ge=8, le=1024, description="Side in pixels.")] = 32
    lr: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    mode: Literal["fast", "slow"] = "fast"
    layers: tuple[Annotated[int, Field(ge=0)], ...] = (1, 2)
    names: tuple[str, ...] = ("x",)
    limit: Annotated[int, Field(ge=0)] | None = None
    big: int = 2**60 + 1
    flag: bool = False
    text: str = "5"

    def __post_init__(self) -> None:
        if self.image_size % 8:
            raise ValueError("image_size must be a multiple of 8")


CONFIGS = st.builds(
    Config,
    image_size=st.integers(1, 128).map(lambda n: 8 * n),
    lr=st.floats(0, 1, exclude_min=True, exclude_max=True),
    mode=st.sampled_from(["fast", "slow"]),
    layers=st.lists(st.integers(0, 2**70)).map(tuple),
    names=st.lists(st.text(st.characters(codec="utf-8"))).map(tuple),
    limit=st.none() | st.integers(0),
    big=st.integers(),
    flag=st.booleans(),
    text=st.text(st.characters(codec="utf-8")),
)


@settings(deadline=None, max_examples=60)
@given(CONFIGS)
def test_a_config_survives_json_exactly(value: Config) -> None:
    import json

    flat = json.loads(json.dumps(config.to_json(value)))
    again = config.build(Config, flat)
    assert again == value
    assert repr(again) == repr(value)  # 1 and 1.0 are equal but not the same


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image_size": 7}, "image_size = 7 is out of range; it must be at least 8 and at most 1024"),
        ({"lr": 2}, "lr = 2 is out of range; it must be more than 0 and less than 1"),
        ({"limit": -1}, "limit = -1 is out of range; it must be at least 0"),
        ({"layers": [1, -1]}, "layers.1 = -1 is out of range; it must be at least 0"),
        ({"image_size": 12}, "image_size must be a multiple of 8"),
        ({"image_size": "8"}, "image_size = '8' is not right: it must be a valid integer"),
        ({"image_size": 8.0}, "image_size = 8.0 is not right: it must be a valid integer"),
        ({"image_size": True}, "image_size = True is not right: it must be a valid integer"),
        ({"flag": 1}, "flag = 1 is not right: it must be a valid boolean"),
        ({"mode": "fats"}, "mode = 'fats' is not right: it must be 'fast' or 'slow'"),
        ({"layers": 5}, "layers = 5 is not right: it must be a valid array"),
        ({"imagesize": 8}, "there is no setting 'imagesize'; did you mean image_size?"),
        ({"q": 8}, "there is no setting 'q'; there are: big, flag, image_size"),
        ({"lr": float("nan")}, "lr = nan is no plain finite value"),
        ({"lr": float("inf")}, "lr = inf is no plain finite value"),
        ({"text": object}, "is no plain finite value"),
    ],
)
def test_a_wrong_value_gets_one_line_that_names_field_value_and_what_is_allowed(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.build(Config, values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gaps_take_the_defaults() -> None:
    assert config.build(Config, {"lr": 0.5}) == Config(lr=0.5)


def test_text_is_read_as_its_field_wants() -> None:
    typed = {
        "image_size": "16",
        "lr": "1e-2",
        "mode": "slow",
        "layers": "3, 4",
        "names": "a,b",
        "limit": "null",
        "flag": "true",
        "text": "5",
    }
    assert config.build(Config, config.parse(Config, typed)) == Config(
        image_size=16, lr=0.01, mode="slow", layers=(3, 4), names=("a", "b"), limit=None, flag=True, text="5"
    )


def test_text_that_fits_no_reading_is_refused_by_build() -> None:
    for typed, says in [({"image_size": "x"}, "valid integer"), ({"image_size": "7"}, "at least 8")]:
        with pytest.raises(ConfigError, match=says):
            config.build(Config, config.parse(Config, typed))


def test_a_config_made_by_hand_with_a_wrong_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        config.to_json(Config(lr="fast"))  # type: ignore[arg-type]


def test_the_schema_says_ranges_descriptions_and_defaults() -> None:
    described = config.schema(Config)
    assert described["properties"]["image_size"] == {
        "type": "integer",
        "title": "Image Size",
        "description": "Side in pixels.",
        "minimum": 8,
        "maximum": 1024,
        "default": 32,
    }
    assert described["additionalProperties"] is False
