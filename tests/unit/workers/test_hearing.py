"""A listener that breaks over what no lost connection raises."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from celery.worker.consumer import Consumer

from ad_workers.hearing import MOST, Careful


@pytest.fixture
def listener() -> Careful:
    made = Careful.__new__(Careful)
    made._broken = []
    made.blueprint = mock.Mock(state=1)
    made.connection = SimpleNamespace(collect=mock.Mock(side_effect=AttributeError("it is gone")))
    made.on_close, made._cancel_connection_timer_entries = mock.Mock(), mock.Mock()
    return made


def start(listener: Careful, ends: Iterator[Any]) -> int:
    with mock.patch.object(Consumer, "start", side_effect=ends) as started:
        try:
            listener.start()
        finally:
            listener.calls = started.call_count
    return listener.calls


def test_it_listens_anew_as_after_a_lost_connection(listener: Careful) -> None:
    assert start(listener, iter([AttributeError("x"), ValueError("y"), None])) == 3
    assert listener.blueprint.restart.call_count == listener.on_close.call_count == 2
    assert listener.connection.collect.call_count == 2


def test_beyond_a_few_times_it_is_no_accident(listener: Careful) -> None:
    with pytest.raises(LookupError):
        start(listener, iter([LookupError("x")] * (MOST + 3)))
    assert listener.calls == MOST + 1


def test_what_happened_long_ago_counts_no_more(listener: Careful) -> None:
    listener._broken = [-1e9] * 50
    assert start(listener, iter([AttributeError("x"), None])) == 2


def test_other_errors_are_raised(listener: Careful) -> None:
    with pytest.raises(MemoryError):
        start(listener, iter([MemoryError]))
    assert listener.calls == 1
