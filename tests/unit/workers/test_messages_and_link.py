"""Messages survive the line between supervisor and child."""

import socket

import pytest

from ad_platform.states import Directive, FailureClass
from ad_workers import messages as say
from ad_workers.link import Link

EVERY = [
    say.Report(step=3, of=10, metrics={"train/loss": 0.25}, message="reading"),
    say.CheckpointMade(step=3, prefix="jobs/j/checkpoints/000000003-a1", manifest_sha256="ab", size=9),
    say.StageMade(key="k", stage="fit", manifest_sha256="cd", size=1),
    say.Note(facts={"threads": 2, "device": "cpu"}),
    say.Done(result={"bundle": "jobs/j/model/a1", "metrics": {}}),
    say.Failed(failure=FailureClass.NAN, error="the loss is not a number"),
    say.Deadline(deadline=12.5),
    say.Order(directive=Directive.DRAIN),
]


@pytest.fixture
def links():
    ours, theirs = socket.socketpair()
    pair = Link(ours), Link(theirs)
    yield pair
    for link in pair:
        link.close()


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_every_message_arrives_equal(links, message):
    near, far = links
    near.send(message)
    assert far.receive(timeout=1.0) == [message]


def test_messages_arrive_in_order_though_they_come_in_pieces(links):
    near, far = links
    for message in EVERY:
        near.send(message)
    arrived = []
    while len(arrived) < len(EVERY):
        arrived += far.receive(timeout=1.0)
    assert arrived == EVERY


def test_a_receiver_notices_that_the_other_end_is_gone_after_its_last_words(links):
    near, far = links
    near.send(say.Note(facts={}))
    near.close()
    assert far.receive(timeout=1.0) == [say.Note(facts={})]
    assert far.closed


def test_a_sender_whose_receiver_is_gone_does_not_raise(links):
    near, far = links
    far.close()
    near.send(say.Note(facts={}))
    near.send(say.Note(facts={}))
    assert near.closed


def test_the_last_words_of_one_that_is_gone_are_heard_though_something_was_sent_to_it_in_vain(links):
    near, far = links
    far.send(say.Done(result={"images": 3}))
    far.close()
    near.send(say.Deadline(deadline=12.5))  # a renewal that comes between its last words and its burial
    assert near.closed
    assert near.receive() == [say.Done(result={"images": 3})]
    assert near.receive() == []


def test_a_receiver_that_never_reads_blocks_nobody_for_long(links):
    near, _ = links
    for _ in range(100):
        near.send(say.Note(facts={"text": "x" * 100_000}), timeout=0.01)
    assert near.closed


def test_what_is_no_message_is_refused():
    with pytest.raises(ValueError, match="not a message"):
        say.decode(b'{"type": "Surprise"}')
