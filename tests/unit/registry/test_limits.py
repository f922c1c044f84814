"""The limits of the gates come from one small file, and what is wrong in it is named."""

from pathlib import Path

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.registry.limits import FILE, AllLimits, Limits

TEXT = """
margin = 0.02
latency_ms = 50
defects = {scratch = 0.9}

[model."patchcore-mvtec-bottle"]
latency_ms = 20
[model."patchcore-mvtec-bottle".defects]
contamination = 0.8
"""


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert AllLimits.read(tmp_path).of("any") == Limits()


def test_a_model_has_its_own_limits_over_those_of_all(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(TEXT)
    found = AllLimits.read(tmp_path)
    usual, own = found.of("ddad-mvtec-bottle"), found.of("patchcore-mvtec-bottle")
    assert (usual.margin, usual.latency_ms, dict(usual.defects)) == (0.02, 50.0, {"scratch": 0.9})
    assert (own.margin, own.latency_ms) == (0.02, 20.0)
    assert (own.floor("scratch"), own.floor("contamination"), own.floor("other")) == (0.9, 0.8, 0.5)
    assert own.to_json()["source"] == str(tmp_path / FILE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("margn = 0.1", "no limit named 'margn'; did you mean margin"),
        ("margin = 2", "margin must be from 0 to 1, not 2"),
        ("latency_ms = 'fast'", "latency_ms is a number of at least 0, not 'fast'"),
        ("defects = 3", "defects is a table of floors"),
        ("[defects]\nscratch = 1.5", "defects.scratch must be from 0 to 1"),
        ("model = 3", "what holds for one model stands under"),
        ('[model."m"]\nlatncy_ms = 3', "no limit named 'model.\"m\".latncy_ms'"),
        ("margin =", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InvalidValue) as told:
        AllLimits.read(tmp_path)
    assert words in str(told.value)
    assert str(tmp_path / FILE) in str(told.value)
