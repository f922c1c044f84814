"""The model as MLflow serves it: images in, scores and maps out. Runs where adctl was never installed."""

import functools
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext

SERVER = "mlflow.pyfunc.scoring_server"


class Refused(MlflowException):  # type: ignore[misc]
    """Input that cannot be scored: the caller's mistake, answered with status 400."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, error_code=INVALID_PARAMETER_VALUE)

    # MLflow puts all that was sent before the reason, which for images is megabytes of text.
    @property
    def message(self) -> str:
        """Return the reason, alone."""
        return self._reason

    @message.setter
    def message(self, text: str) -> None:
        if not hasattr(self, "_reason"):
            self._reason = str(text)


class Scoring:
    """A fitted detector; the higher an image's score, the more anomalous it is."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the detector from the files of its bundle; nothing is unpickled."""
        from ad_detectors import load

        wish = (context.model_config or {}).get("device", "auto")
        self._model = load(Path(context.artifacts["bundle"]), on=str(wish))
        _answer_early_mistakes()

    # Without hints for input and output: MLflow would make a schema of them, and warn that it says little.
    # Where a PythonModel defines this method itself, MLflow warns that the hints are missing.
    def predict(self, context: PythonModelContext, model_input, params: Any = None):  # type: ignore[no-untyped-def]
        """Return for each image its score, decision and threshold, and its map where `params` ask for it.

        What images may be is told at `ad_detectors.usage.wire.read`. Raises Refused for anything else.
        """
        from ad_detectors.errors import ConfigError, DataError
        from ad_detectors.usage import wire

        try:
            maps = wire.wanted_maps(params)
            pixels = wire.read(model_input, self._model.image_size)
        except (ConfigError, DataError) as error:
            raise Refused(str(error)) from error
        return [wire.answer(result, maps) for result in self._model.score(pixels)]


class AnomalyModel(Scoring, PythonModel):  # type: ignore[misc]
    """What MLflow loads."""


def _answer_early_mistakes() -> None:
    """Let MLflow's server answer with status 400 what it fails at before a model is asked.

    It takes a request without a content type, and JSON that Python does not read, for its own fault and says
    no more than "Internal Server Error" (MLflow 3.17). Elsewhere this does nothing.
    """
    server = sys.modules.get(SERVER)
    answering = getattr(server, "invocations", None)
    if answering is None or hasattr(answering, "__wrapped__"):
        return

    @functools.wraps(answering)
    def careful(data: Any, content_type: Any, *more: Any, **named: Any) -> Any:
        if not content_type:
            raise Refused("the request has no Content-Type; send application/json")
        try:
            return answering(data, content_type, *more, **named)
        except RecursionError as error:
            raise Refused("the request is nested too deeply to be read") from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # numbers of 5000 digits, ...
            raise Refused(f"the request cannot be read: {error}") from error

    setattr(server, "invocations", careful)  # noqa: B010 - a module has no such attribute for a type checker


mlflow.models.set_model(AnomalyModel())
