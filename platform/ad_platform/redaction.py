"""The last net under what is logged, stored or shown: the secrets of this process become ***.

Messages of ours leave secrets out to begin with (`addresses.shown`). This is for those of other people's
libraries, which may repeat an address, a header or a setting in an error or a traceback.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from ad_platform.addresses import HIDDEN, SECRET, parted

SHORTEST = 6  # characters: to hide shorter ones would make words unreadable, and they are no secrets
OPTIONS = "ADCTL_STORAGE_OPTIONS"
# Names of variables whose whole value is secret; those of addresses are taken apart instead.
_WHOLE = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|_AUTH$|API_?KEY|ACCESS_KEY|PRIVATE_KEY", re.IGNORECASE)
_PIECES = re.compile(r"[/?#@:\s\[\]]")  # where others cut an address in which a password was left unquoted


class Redactor:
    """Knows secrets, and takes them out of texts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the secrets of an environment."""
        found = {each for secret in _secrets(environ) for each in (secret, unquote(secret))}
        longest_first = sorted((each for each in found if len(each) >= SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return a text without them."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def redacted(text: str) -> str:
    """Return a text without the secrets of this process's environment."""
    return _of(tuple(os.environ.items()))(text)


@lru_cache(maxsize=2)
def _of(environ: tuple[tuple[str, str], ...]) -> Redactor:
    return Redactor(dict(environ))


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if "://" in value:
            yield from _in_address(value)
        elif name == OPTIONS:
            yield from _in_options(value)
        elif _WHOLE.search(name) and not value.startswith(("/", "~")):  # a file with a secret is none
            yield value


def _in_address(address: str) -> Iterator[str]:
    password = parted(address.partition("://")[2])[0].partition(":")[2]
    yield password
    yield from _PIECES.split(password)
    query = address.partition("?")[2].partition("#")[0]
    for name, value in parse_qsl(query):
        if "://" in value:
            yield from _in_address(value)
        if SECRET.search(name):
            yield value.strip('"')
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if SECRET.search(name):
            yield value


def _in_options(text: str) -> Iterator[str]:
    try:
        pending = [json.loads(text)]
    except ValueError:
        return
    while pending:
        value = pending.pop()
        for name, inner in value.items() if isinstance(value, dict) else ():
            if isinstance(inner, dict):
                pending.append(inner)
            elif isinstance(inner, str) and SECRET.search(name):
                yield inner
