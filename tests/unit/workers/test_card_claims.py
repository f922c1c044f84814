"""Two workers of one machine never give out the same card."""

import subprocess
import sys
import uuid

import pytest

from ad_platform.errors import Conflict
from ad_workers.card_claims import Claims
from ad_workers.gpu import Gpu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names in the kernel are Linux's")
HOLD = """
import sys
from ad_workers.card_claims import Claims
from ad_workers.gpu import Gpu
claims = Claims()
claims.take([Gpu(name, "Faked", 1) for name in sys.argv[1:]], None)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cards() -> list[Gpu]:
    return [Gpu(f"GPU-{uuid.uuid4()}", "Faked", 8192) for _ in range(3)]


def test_a_second_worker_has_the_cards_that_the_first_left_and_the_rest_once_that_is_gone(cards):
    first, second = Claims(), Claims()
    assert first.take(cards, 1) == cards[:1]
    assert second.take(cards, None) == cards[1:]
    with pytest.raises(Conflict, match=r"no card here is free of other workers .*CUDA_VISIBLE_DEVICES="):
        Claims().take(cards, None)
    first.close()
    third = Claims()
    with pytest.raises(Conflict, match="only 1 of 3 cards here are free"):
        third.take(cards, 2)
    assert third.take(cards, None) == cards[:1]
    second.close()
    third.close()


def test_a_killed_worker_leaves_no_claim(cards):
    command = [sys.executable, "-c", HOLD, *(card.uuid for card in cards)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Conflict):
            Claims().take(cards, None)
        other.kill()
    mine = Claims()
    assert mine.take(cards, None) == cards
    mine.close()
