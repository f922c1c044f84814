"""What LitServe runs in each scorer: batches of requests in, answers out."""

import json
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import Depends, Response
from litserve import LitAPI
from litserve.loops import BatchedLoop

from ad_detectors import heap
from ad_detectors.errors import DetectorError
from ad_detectors.usage import wire
from ad_workers.serving import orphans
from ad_workers.serving.intake import Asked, asked
from ad_workers.serving.offered import Current, Offered

if TYPE_CHECKING:
    from ad_detectors.usage.model import Model
    from ad_detectors.usage.result import Result

PATH = "/invocations"  # and schema: those of MLflow's server, so that clients can move
KEPT = 2  # models: requests that were read for the one before are still to be answered
PAUSE = 1.0  # seconds, after which an idle scorer looks whether it is to go on


class Gathering(BatchedLoop):  # type: ignore[misc]
    """Waits for a first request without spinning, then a moment for others to score beside it."""

    def get_batch_requests(
        self, lit_api: Any, request_queue: Any, transport: Any
    ) -> tuple[list[Any], list[Any]]:
        """Return requests to answer together, and those that waited too long."""
        batch: list[Any] = []
        late: list[Any] = []
        until = 0.0
        while len(batch) < lit_api.max_batch_size:
            left = until - time.monotonic() if batch else PAUSE
            if left <= 0:
                break
            try:
                place, uid, since, request = request_queue.get(timeout=left)
            except Empty:
                break
            if not batch:
                until = time.monotonic() + lit_api.batch_timeout
            if lit_api.request_timeout and time.monotonic() - since > lit_api.request_timeout:
                late.append((place, uid))
            else:
                batch.append((place, uid, request))
        return batch, late


class Scorer(LitAPI):  # type: ignore[misc]
    """Scores the pictures of several requests at once; each gets the answer it would have got alone."""

    def __init__(self, current: Path, device: str, max_batch: int, max_wait: float) -> None:
        """Answer up to `max_batch` requests at a time, waiting for them at most `max_wait` seconds."""
        super().__init__(max_batch_size=max_batch, batch_timeout=max_wait, api_path=PATH, loop=Gathering())
        self._path, self._wish = current, device
        self._models: OrderedDict[str, Model] = OrderedDict()

    def setup(self, device: str) -> None:
        """Load the model that is served now."""
        del device  # chosen by us
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the server ends us when it is done
        orphans.die_with_parent()
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        heap.keep_freed()
        self._model(Current(self._path)())

    def decode_request(self, request: Annotated[Asked, Depends(asked)]) -> Asked:
        """Take over what the intake read."""
        return request

    def batch(self, inputs: Sequence[Asked]) -> list[Asked]:
        """Return the requests as they are: their pictures are put together by model."""
        return list(inputs)

    def predict(self, x: Sequence[Asked]) -> list[Response]:
        """Answer requests, in order."""
        answers: list[Response | None] = [None] * len(x)
        folders = {each.model: None for each in x}
        for model in folders:
            places = [place for place, each in enumerate(x) if each.model == model]
            for place, answer in zip(
                places, self._answers(model, [x[place] for place in places]), strict=True
            ):
                answers[place] = answer
        return [answer for answer in answers if answer is not None]

    def unbatch(self, output: list[Response]) -> list[Response]:
        """Return the answers as they are."""
        return output

    def encode_response(self, output: Response) -> Response:
        """Return an answer as it is: it was written beside the scoring."""
        return output

    def _answers(self, offered: Offered, requests: Sequence[Asked]) -> list[Response]:
        """Answer requests to one model; if their batch fails, each for itself."""
        if len(requests) > 1 and self._model(offered).detector.batch is not None:
            # As published, its scores depend on the pictures of a batch: other people's are none of them.
            return [answer for each in requests for answer in self._answers(offered, [each])]
        try:
            results = self._scored(offered, np.concatenate([each.pixels for each in requests]))
        except (DetectorError, RuntimeError, MemoryError) as error:
            if len(requests) == 1:
                return [_failed(str(error))]
            return [answer for each in requests for answer in self._answers(offered, [each])]
        answers, start = [], 0
        for each in requests:
            answers.append(_answer(offered, results[start : start + len(each.pixels)], each.maps))
            start += len(each.pixels)
        return answers

    def _scored(self, offered: Offered, pixels: Any) -> "list[Result]":
        from ad_workers.serving import metrics

        model = self._model(offered)
        began = time.perf_counter()
        results = model.score(pixels)
        metrics.scoring.observe(time.perf_counter() - began)
        metrics.batch.observe(len(pixels))
        metrics.pictures.inc(len(pixels))
        return results

    def _model(self, offered: Offered) -> "Model":
        """Return a model, loaded if it is not yet; the one that was not used for longest goes."""
        key = json.dumps(offered.to_json(), sort_keys=True)
        if key not in self._models:
            from ad_detectors.usage.model import load
            from ad_workers.serving import metrics

            loaded = load(offered.folder, on=self._wish, threads=offered.threads)
            self._models[key] = replace(
                loaded, threshold=offered.threshold, map_threshold=offered.map_threshold
            )
            metrics.loads.inc()
            metrics.revision.labels(offered.name).set(offered.revision)
            while len(self._models) > KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]


def _answer(offered: Offered, results: "Sequence[Result]", maps: str) -> Response:
    text = json.dumps({"predictions": [wire.answer(result, maps) for result in results]}, allow_nan=False)
    name = offered.name.encode("ascii", "replace").decode()
    headers = {"x-model": f"{name}; revision={offered.revision}; job={offered.job}"}
    return Response(text, media_type="application/json", headers=headers)


def _failed(reason: str) -> Response:
    text = json.dumps({"error_code": "INTERNAL_ERROR", "message": reason})
    return Response(text, 500, media_type="application/json")
