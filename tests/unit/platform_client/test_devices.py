"""Before a job is submitted a person hears what it will compute on, and why."""

from dataclasses import replace

import pytest

from ad_platform.devices import Card, Devices, choice
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.records import WorkerRecord

H100 = Card(name="NVIDIA H100", uuid="GPU-0", memory_mb=81559, capability="9.0")
OLD = Card(name="GTX 980", problem="its driver is too old; update the driver")


def worker(name: str, node: str, *cards: Card, metal: bool = False) -> WorkerRecord:
    facts = {"devices": ["cpu"], **Devices(cards=cards, metal=metal).to_json()}
    return WorkerRecord(id=name, node=node, pid=1, slots=1, facts=facts)


HERE = worker("here-1", "here")
GPU1 = worker("gpu1-1", "gpu1", H100)
STALE = worker("old-1", "old", OLD)
MAC = worker("mac-1", "mac", metal=True)


@pytest.mark.parametrize(
    ("device", "roster", "kind", "words"),
    [
        ("auto", [], "unknown", "unknown until a worker is online"),
        ("auto", [replace(HERE, state="gone")], "unknown", "unknown until a worker is online"),
        ("auto", [HERE], "cpu", "cpu (worker here-1 on node here has no CUDA card)"),
        ("auto", [GPU1], "cuda", "cuda (NVIDIA H100 on node gpu1)"),
        ("AUTO", [MAC], "mps", "mps (Metal on node mac)"),
        ("cuda", [HERE, GPU1], "cuda", "cuda (NVIDIA H100 on node gpu1)"),
        ("0", [HERE, GPU1], "cuda", "cuda (NVIDIA H100 on node gpu1)"),
        ("cpu", [STALE], "cpu", "cpu (asked for)"),
        ("mps", [HERE, MAC], "mps", "mps (Metal on node mac)"),
        ("cuda", [], "cuda", "cuda (asked for; no worker is online to say if it has one)"),
        (
            "auto",
            [HERE, GPU1],
            "unknown",
            "cuda or cpu, by which worker takes it (NVIDIA H100 on node gpu1; worker here-1 on node here has "
            "no CUDA card)",
        ),
        (
            "auto",
            [HERE, STALE],
            "cpu",
            "cpu (worker here-1 on node here has no CUDA card; but the GTX 980 on node old cannot be used: "
            "its driver is too old; update the driver)",
        ),
        (
            "0,1",
            [worker("two-1", "two", H100, H100)],
            "cuda",
            "cuda (NVIDIA H100 on node two; a job computes on one card)",
        ),
    ],
)
def test_what_a_job_computes_on_is_said_with_the_reason(device, roster, kind, words):
    chosen = choice(device, roster)

    assert (chosen.kind, chosen.words) == (kind, words)


@pytest.mark.parametrize("device", ["auto", "cuda", "0"])
def test_a_card_that_cannot_be_used_is_an_error_that_says_why_and_what_to_do(device):
    with pytest.raises(InvalidRequest) as caught:
        choice(device, [STALE])

    assert str(caught.value) == (
        "the GTX 980 on node old cannot be used: its driver is too old; update the driver; "
        "to compute without it: --device cpu"
    )


@pytest.mark.parametrize(
    ("device", "roster", "words"),
    [
        ("cuda", [HERE], "device 'cuda': worker here-1 on node here has no CUDA card; use --device"),
        ("1", [GPU1], "device '1': worker gpu1-1 on node gpu1 has no CUDA card 1; use --device"),
        ("0,1", [HERE, GPU1], "device '0,1': none of the workers here-1, gpu1-1 has CUDA card 1; use"),
        ("mps", [HERE], "worker here-1 on node here has no Metal (mps); use --device auto"),
    ],
)
def test_a_device_that_no_online_worker_has_is_an_error(device, roster, words):
    with pytest.raises(InvalidRequest) as caught:
        choice(device, roster)

    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("device", ["gpu", "", "0,", "-1", "cuda:0:1"])
def test_what_is_no_device_is_told_what_there_is(device):
    with pytest.raises(InvalidValue, match="must be auto, cpu, mps, cuda or indices"):
        choice(device, [GPU1])


def test_a_worker_that_says_nothing_of_cards_has_those_its_slots_are_named_after():
    older = WorkerRecord(id="w", node="n", pid=1, slots=2, facts={"devices": ["cpu", "A100"]})

    assert choice("auto", [older]).words == "cuda (A100 on node n)"
    assert choice("auto", [replace(older, facts={})]).kind == "cpu"


def test_of_many_workers_a_few_are_named():
    many = [worker(f"w{number}", f"n{number}") for number in range(9)]

    assert choice("auto", many).words == "cpu (none of the workers w0, w1, w2 and 6 more has a CUDA card)"
