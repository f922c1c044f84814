"""Logs for people, or with ADCTL_LOG=json one JSON object a line, with the job that each line is about."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from ad_platform.errors import InvalidValue
from ad_platform.redaction import redacted
from ad_platform.specs import Json

VARIABLE = "ADCTL_LOG"
TEXT, JSON = "text", "json"
_always: dict[str, Json] = {}  # of this process, in every line
_about: ContextVar[Mapping[str, Json]] = ContextVar("about", default={})  # noqa: B039 - never changed in place


def chosen(environ: Mapping[str, str]) -> str:
    """Return how to log: the one place that reads ADCTL_LOG; raise InvalidValue for what it is not."""
    text = environ.get(VARIABLE) or TEXT
    if text not in (TEXT, JSON):
        raise InvalidValue(f"{VARIABLE} must be {TEXT} or {JSON}, not '{text}'")
    return text


def configure(form: str, level: int, environ: Mapping[str, str] | None = None) -> None:
    """Let the root logger write to stderr as the environment says; `form` is that of text."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = chosen(os.environ if environ is None else environ) == JSON
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])
    if as_json:
        logging.captureWarnings(capture=True)


def always(**facts: Json) -> None:
    """Say something in every line of this process."""
    _always.update(facts)


@contextmanager
def about(**facts: Json) -> Iterator[None]:
    """Say in every line of this thread what it is about, for a while."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


class PlainFormatter(logging.Formatter):
    """Writes a record for people, without this process's secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines with a traceback."""
        return redacted(super().format(record))


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, message, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; whatever is in a message, it stays one."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        value: dict[str, Json] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **_always,
            **_about.get(),
        }
        if record.exc_info:
            value["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(value, ensure_ascii=False)
