"""Addresses as they may be shown: without the passwords and keys they hold."""

import re
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

HIDDEN = "***"
_PLAIN = '/:"'  # of a query's values, which are JSON here
_SECRET = re.compile(r"pass|secret|token|key|credential|sig", re.IGNORECASE)


def shown(address: str) -> str:
    """Return an address with its password, and every secret of its query, as ***."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        place = _place(parts)
    except ValueError:  # no address at all: nobody knows which part of it is secret
        return f"{address.partition('://')[0]}://{HIDDEN}"
    query = "&".join(
        f"{name}={HIDDEN if _SECRET.search(name) else quote(value, safe=_PLAIN)}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    head = f"{parts.scheme}://{place}{parts.path}"
    return f"{head}?{query}" if query else head


def _place(parts: SplitResult) -> str:
    account, at, host = parts.netloc.rpartition("@")
    name, colon, _ = account.partition(":")
    return f"{name}{colon}{HIDDEN if colon else ''}{at}{host}"
