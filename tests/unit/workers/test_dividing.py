"""An attempt that is told to divide its batches says what came of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.states import JobKind
from ad_workers import messages as say
from ad_workers.dividing import divide
from desks import Desks, make_category, spec_of
from gradual_mean import Config, GradualMean


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    found = Desks(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("can", "divisor", "facts", "printed"),
    [
        (True, 1, [], ""),
        (True, 2, [{"batch_divisor": 2}], "batches are computed in 2 parts"),
        (False, 1, [{"divisible": False}], ""),
        (False, 2, [{"divisible": False}], "cannot compute its batches in parts: they stay whole"),
    ],
)
def test_what_comes_of_it_is_noted_and_printed(
    desks: Desks, tmp_path: Path, capsys: pytest.CaptureFixture[str], can, divisor, facts, printed
) -> None:
    spec = spec_of(JobKind.TRAIN, make_category(tmp_path / "c", test=False, normal=2), "gradual_mean")
    desk, supervisor = desks.open(spec, batch_divisor=divisor)
    detector = GradualMean(Config())
    divide(desk, detector, can=can)
    assert detector.batch_divisor == divisor
    assert [message.facts for message in supervisor.receive() if isinstance(message, say.Note)] == facts
    assert printed in capsys.readouterr().out
