"""A broker that is away is said at once, and not after the pause that kombu makes by itself."""

from pathlib import Path

import pytest
from kombu.utils import functional

from ad_platform.errors import BrokerDown
from ad_platform.queue.celery import CeleryQueue


def test_depths_without_a_broker_fail_without_sleeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(functional, "sleep", slept.append)
    with pytest.raises(BrokerDown):
        CeleryQueue(f"redis+socket://{tmp_path}/none.sock").depths(["default"])
    assert sum(slept) == 0
