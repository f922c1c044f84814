"""Says whether anything listens where MLflow should, before MLflow itself, which takes seconds, is loaded."""

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from ad_platform.addresses import shown
from ad_platform.errors import TrackingDown

PATIENCE = 5.0  # seconds


def knock(uri: str, patience: float = PATIENCE) -> None:
    """Raise TrackingDown if the address of a server answers nothing at all; a file needs no knock.

    Whatever does answer, if only with a refusal, is left to MLflow, which knows accounts and certificates.
    Proxies are taken from the environment, as MLflow takes them.
    """
    if urlsplit(uri).scheme not in ("http", "https"):
        return
    request = urllib.request.Request(uri.rstrip("/") + "/health")  # noqa: S310 - http(s), as asked above
    try:
        urllib.request.urlopen(request, timeout=patience).close()  # noqa: S310
    except (urllib.error.HTTPError, HTTPException, ValueError):
        return
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        if not isinstance(reason, ssl.SSLError):
            raise TrackingDown(f"MLflow at {shown(uri)} does not answer: {reason}") from error
