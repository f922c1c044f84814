"""A state comes back from disk to the bit, and nothing but tensors, numbers and strings gets there."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ad_detectors import checkpoint
from ad_detectors.errors import StateError
from ad_detectors.testing import digest

DTYPES = [torch.uint8, torch.bool, torch.int64, torch.float64, torch.float32, torch.float16, torch.bfloat16]


def round_trip(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    checkpoint.save(state, folder)
    return dict(checkpoint.load(folder))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)], ids=str)
def test_tensors_of_every_type_and_shape_come_back_to_the_bit(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    state = {"fit/x": (torch.randn(shape) * 3).to(dtype)}
    assert digest(round_trip(state, tmp_path)) == digest(state)


def test_shared_transposed_sliced_and_learned_tensors_come_back(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    state = {
        "fit/whole": whole,
        "fit/again": whole,
        "fit/turned": whole.T,
        "fit/part": whole[1:3, ::2],
        "fit/row": whole[0],
        "fit/last": whole.to(memory_format=torch.contiguous_format)[-1:],
        "fit/expanded": torch.ones(1).expand(5),
        "fit/parameter": torch.nn.Parameter(torch.ones(2)),
        "fit/image": torch.randn(1, 3, 4, 4).to(memory_format=torch.channels_last),
        "fit/nan": torch.tensor([math.nan, math.inf]),
    }
    assert digest(round_trip(state, tmp_path)) == digest(state)


VALUES = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@settings(deadline=None, max_examples=60)
@given(value=VALUES)
def test_numbers_and_strings_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, value: float | str
) -> None:
    back = round_trip({"fit/x": value}, tmp_path_factory.mktemp("state"))["fit/x"]
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "value",
    [None, [1], {"a": 1}, (1,), object(), math.nan, math.inf, 1j, b"x", torch.float32, Path("x")],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_by_its_key_before_a_file_is_touched(tmp_path: Path, value: object) -> None:
    checkpoint.save({"fit/old": 1}, tmp_path)
    with pytest.raises(StateError, match="fit/culprit"):
        checkpoint.save({"fit/fine": torch.zeros(1), "fit/culprit": value}, tmp_path)  # type: ignore[dict-item]
    assert checkpoint.load(tmp_path) == {"fit/old": 1}


def test_sparse_tensors_and_the_reserved_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="fit/s"):
        checkpoint.save({"fit/s": torch.eye(2).to_sparse()}, tmp_path)
    with pytest.raises(StateError, match="__metadata__"):
        checkpoint.save({"__metadata__": torch.eye(2)}, tmp_path)


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.VALUES])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, file: str, damage: str) -> None:
    checkpoint.save({"fit/x": torch.ones(100), "fit/y": 1}, tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(StateError, match=file.replace(".", r"\.")):
        checkpoint.load(tmp_path)


def test_a_pickle_under_the_right_name_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return (sys.exit, ("ran",))

    checkpoint.save({"fit/x": torch.ones(1)}, tmp_path)
    torch.save({"fit/x": Evil()}, tmp_path / checkpoint.TENSORS)
    with pytest.raises(StateError):
        checkpoint.load(tmp_path)


def test_saving_does_not_change_or_keep_hold_of_the_state(tmp_path: Path) -> None:
    tensor = torch.ones(3)
    checkpoint.save({"fit/x": tensor}, tmp_path)
    checkpoint.load(tmp_path)["fit/x"].zero_()  # type: ignore[union-attr]
    assert tensor.tolist() == [1, 1, 1]
    assert checkpoint.load(tmp_path)["fit/x"].tolist() == [1, 1, 1]  # type: ignore[union-attr]


def test_a_models_folder_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"config\.json"):
        checkpoint.load_model(tmp_path)
    (tmp_path / checkpoint.CONFIG).write_text(json.dumps({"detector": 3}))
    with pytest.raises(StateError, match="is this a model's folder"):
        checkpoint.load_model(tmp_path)
