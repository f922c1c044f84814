"""A request becomes pixels, or a reason why not, in the process that talks HTTP."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import HTTPException, Request
from numpy.typing import NDArray

from ad_detectors.errors import ConfigError, DataError
from ad_detectors.usage import wire
from ad_workers.serving.offered import Current, Offered

KEYS = ("inputs", "params")
PATIENT = 8  # times what is allowed is let pass: whoever is cut off while sending reads no answer
TOO_MUCH, WRONG, WRONG_KIND = 413, 400, 415


@dataclass(frozen=True)
class Asked:
    """The pictures of a request, at the size of the model that is to score them."""

    pixels: NDArray[np.uint8]  # (N, 3, size, size)
    maps: str
    model: Offered


@dataclass(frozen=True)
class Intake:
    """What requests are read by."""

    current: Current
    most: int  # bytes of a request


async def asked(request: Request) -> Asked:
    """Read a request; raise HTTPException with status 400, 413 or 415 and a reason for anything wrong."""
    intake: Intake = request.app.state.intake
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        given = f"not '{kind[:40]}'" if kind else "and it has no Content-Type"
        raise HTTPException(WRONG_KIND if kind else WRONG, f"a request is application/json, {given}")
    body = await _body(request, intake.most)
    return await asyncio.to_thread(_parsed, body, intake.current())


async def _body(request: Request, most: int) -> bytes:
    """Read what is sent, and keep no more than is allowed, whatever its headers claim."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
        elif size > PATIENT * most:
            break
    if size <= most:
        return b"".join(parts)
    raise HTTPException(TOO_MUCH, f"a request is at most {most >> 20} MB; send fewer or smaller pictures")


def _parsed(body: bytes, model: Offered) -> Asked:
    try:
        sent = _object(body)
        params = sent.get("params") or {}
        if not isinstance(params, dict) or not set(params) <= {"maps"}:
            raise DataError(f"params is an object that may hold 'maps' alone, not {str(params)[:60]}")
        maps = wire.wanted_maps(params)
        return Asked(wire.read(sent["inputs"], model.image_size), maps, model)
    except (DataError, ConfigError) as error:
        raise HTTPException(WRONG, str(error)) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
    except RecursionError as error:
        raise DataError("the request is nested too deeply to be read") from error
    except ValueError as error:
        raise DataError(f"the request is no JSON: {error}") from error
    if not isinstance(sent, dict) or "inputs" not in sent:
        raise DataError('a request is an object with "inputs", and "params" if you like')
    if unknown := sorted(set(sent) - {*KEYS}):
        raise DataError(f"a request holds inputs and params, not {unknown[0][:40]}")
    return sent
