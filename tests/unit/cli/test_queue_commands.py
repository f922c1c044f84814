"""Promises of the commands that hold a queue back and let it go on."""

from clientkit import Bench

TRAIN = ("submit", "train", "-m", "toy", "--no-evaluate", "-q", "--data")


def test_queue_list_shows_what_lies_in_each_and_who_serves_it(adctl, desk: Bench, screw):
    desk.online(queues=("default", "night"))
    adctl(*TRAIN, str(screw), "--queue", "lonely")
    adctl(*TRAIN, str(screw))
    adctl("queue", "pause", "night", "--reason", "the disk is full")

    whole = {queue["name"]: queue for queue in adctl("queue", "list", "--json").json}
    table = adctl("queue", "list").out.splitlines()

    assert list(whole) == ["default", "lonely", "night"]
    assert (whole["default"]["queued"], whole["default"]["workers"], whole["default"]["slots"]) == (1, 1, 1)
    assert (whole["lonely"]["queued"], whole["lonely"]["workers"]) == (1, 0)
    assert whole["night"]["paused"]["user"] == "kim"
    assert whole["night"]["paused"]["reason"] == "the disk is full"
    assert table[0].split()[0] == "QUEUE"
    assert table[3].startswith("night")
    assert "by kim 0s ago: the disk is full" in table[3]
    assert adctl("queue", "list", "-q").out.split() == ["default", "lonely", "night"]


def test_a_paused_queue_gives_out_its_jobs_once_it_is_resumed(adctl, desk: Bench, screw):
    adctl(*TRAIN, str(screw))
    paused = adctl("queue", "pause", "DEFAULT")
    assert desk.queue.take() is not None  # the ring of the submit, which a worker would hear in vain

    assert (paused.code, paused.out) == (0, "default  paused\n")
    assert "adctl queue resume default" in paused.err
    assert desk.store.queues.paused()[0].name == "default"

    resumed = adctl("queue", "resume", "default", "--json")

    assert resumed.json["paused"] is None
    assert desk.queue.take() is not None
    assert desk.lease().attempt == 1


def test_a_second_pause_says_whose_the_first_is_and_a_second_resume_that_there_was_none(adctl):
    adctl("queue", "pause", "default", "--reason", "lunch")
    again = adctl("queue", "pause", "default", "--reason", "dinner")

    assert again.code == 0
    assert "paused already, by kim 0s ago: lunch; that stands" in again.err
    assert adctl("queue", "resume", "default", "-q").out == "default\n"
    assert "it was not paused" in adctl("queue", "resume", "default").err


def test_a_mistyped_queue_is_not_paused(adctl, desk: Bench):
    for verb in ("pause", "resume"):
        called = adctl("queue", verb, "defualt")
        assert called.code == 2
        assert called.err == "error: no queue named 'defualt'; did you mean default?\n"
    assert desk.store.queues.paused() == []


def test_a_queue_is_resumed_though_the_broker_is_down_and_that_is_said(adctl, desk: Bench, screw):
    adctl(*TRAIN, str(screw))
    adctl("queue", "pause", "default")
    desk.queue.down = True

    called = adctl("queue", "resume", "default")

    assert called.code == 0
    assert "will be woken later" in called.err


def test_status_tells_which_queues_are_paused(desk: Bench):
    desk.store.queues.pause("night", "ann", "")

    names = {queue.name: queue.paused for queue in desk.client.overview().queues}

    assert names["default"] is None
    assert names["night"].user == "ann"
