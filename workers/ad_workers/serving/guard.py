"""Around every request: a clock, a count, an end to waiting, and answers in MLflow's form."""

import asyncio
import json
import time
from typing import Any

from ad_workers.serving.scorer import PATH

Scope = dict[str, Any]
CODES = {400: "INVALID_PARAMETER_VALUE", 404: "ENDPOINT_NOT_FOUND", 405: "BAD_REQUEST", 413: "BAD_REQUEST"}


class Guard:
    """Counts requests to score pictures, and answers those that nobody answers in time."""

    def __init__(self, app: Any, patience: float) -> None:
        """Wrap an application; `patience` is in seconds."""
        self._app, self._patience = app, patience

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        from ad_workers.serving import metrics

        began, status = time.perf_counter(), 0

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with metrics.in_flight.track_inprogress():
            try:
                await asyncio.wait_for(self._app(scope, receive, watched), self._patience)
            except TimeoutError:
                if not status:
                    await _answer(watched, 504, "no scorer answered in time; ask again")
            finally:
                metrics.requests.labels(str(status or 499)).inc()  # 499: whoever asked is gone
                metrics.seconds.observe(time.perf_counter() - began)


def body_of(status: int, reason: str) -> dict[str, str]:
    """Return what is answered where there are no scores, as MLflow's server words it."""
    return {
        "error_code": CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST"),
        "message": reason,
    }


async def _answer(send: Any, status: int, reason: str) -> None:
    body = json.dumps(body_of(status, reason)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
