"""A worker reports every card of its machine, and of each that cannot be used why."""

from collections.abc import Mapping, Sequence

import pytest

from ad_platform.devices import Devices
from ad_workers.gpu import Found, Gpu
from ad_workers.machine import Torch, installed_torch, look, parse_torch, try_out

CARDS = (Gpu("GPU-0", "NVIDIA H100", 81559, "9.0"), Gpu("GPU-1", "NVIDIA GTX 980", 4096, "5.2"))
FOUND = Found(gpus=CARDS, driver="580.65", driver_cuda="13.0")
TORCH = Torch("2.14.1+cu130", "13.0")


def fine(uuids: Sequence[str]) -> Mapping[str, str]:
    return {}


def never(uuids: Sequence[str]) -> Mapping[str, str]:
    raise AssertionError("a card that cannot fit needs no trial")


def test_cards_that_compute_are_usable_and_reported_with_driver_and_torch():
    machine = look(FOUND, TORCH, fine)

    assert machine.gpus == CARDS
    assert machine.devices.usable == machine.devices.cards
    assert Devices.from_facts({"devices": ["cpu"], **machine.devices.to_json()}) == machine.devices
    assert (machine.devices.driver, machine.devices.torch_cuda) == ("580.65", "13.0")


def test_a_card_that_does_not_compute_keeps_torchs_reason_and_gets_no_slot():
    machine = look(FOUND, TORCH, lambda uuids: {"GPU-1": "CUDA error: no kernel image is available"})

    assert machine.gpus == CARDS[:1]
    assert "no kernel image is available" in machine.devices.cards[1].problem
    assert machine.devices.cards[0].problem == ""


@pytest.mark.parametrize(
    ("found", "torch", "words"),
    [
        (FOUND, Torch("2.14.1+cpu"), "this torch (2.14.1+cpu) was built without CUDA; install one"),
        (
            Found(gpus=CARDS, driver="525.60", driver_cuda="12.0"),
            TORCH,
            "its driver 525.60 knows CUDA 12.0, torch 2.14.1+cu130 needs 13.0; update the driver, or install "
            "a torch for CUDA 12",
        ),
        (FOUND, Torch(""), "torch is not installed: pip install 'adctl[worker]'"),
        (Found(silent="Driver Not Loaded"), TORCH, "no NVIDIA driver answers (Driver Not Loaded); install"),
    ],
)
def test_what_cannot_fit_is_said_without_a_trial(found, torch, words):
    machine = look(found, torch, never)

    assert machine.gpus == ()
    assert machine.devices.cards
    assert all(card.problem.startswith(words) for card in machine.devices.cards)


def test_a_driver_of_the_same_major_cuda_is_tried_however_old_its_minor():
    older = Found(gpus=CARDS, driver="550", driver_cuda="12.1")

    assert look(older, Torch("2.9", "12.9"), fine).gpus == CARDS


def test_a_machine_without_cards_is_looked_at_without_a_trial():
    machine = look(Found(), TORCH, never)

    assert (machine.gpus, machine.devices.cards) == ((), ())


def test_torch_is_read_from_its_files_in_each_way_it_writes_them():
    assert parse_torch("__version__ = '2.9.0+cpu'\ncuda: Optional[str] = None\nhip = '6'") == Torch(
        "2.9.0+cpu"
    )
    assert parse_torch("__version__ = '2.9.0'\ncuda = '12.8'\n") == Torch("2.9.0", "12.8")
    torch = pytest.importorskip("torch")
    assert installed_torch() == Torch(torch.__version__, torch.version.cuda or "")


def test_a_trial_that_hangs_is_given_up():
    assert try_out(["GPU-0"], patience=0.01) == {"GPU-0": "it gave no result within 0 s"}
