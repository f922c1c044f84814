"""The registry of models in MLflow: versions made of code and safetensors, never of a pickle."""

import logging
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform.errors import TrackingDown, Unavailable
from ad_platform.records import Champion, Job
from ad_platform.registry.release import CARD
from ad_platform.results import selected_on
from ad_platform.tracking.mlflow import MlflowTracker, reaching
from ad_platform.tracking.pyfunc import save_pyfunc

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

log = logging.getLogger(__name__)

TRIES = 3  # to remove what is not used
_DECISION = "adctl.decision"
_LONGEST = 4900  # characters that MLflow keeps of a description, less what says that there is more
_PLACE = "registered"  # of models, among the artifacts of a job's run
_MISSING = (
    "RESOURCE_DOES_NOT_EXIST",
    "INVALID_PARAMETER_VALUE",
)  # as MLflow says that a name stands for nothing


class MlflowModels:
    """Model versions and aliases; the files of a version lie with the run of the job that made it."""

    def __init__(self, tracker: MlflowTracker) -> None:
        self._tracker = tracker
        self._client = tracker.client

    def version_of(self, champion: Champion) -> str | None:
        """Return the version made for this decision: the lowest, if a race made several."""
        versions = self._versions(champion)
        self._remove(champion, versions[1:])
        return str(versions[0]) if versions else None

    def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
        """Upload the model and make a version of it."""
        run_id = self._tracker.ensure_run(job, run_id)
        # A place of its own: a copy over files that a version has already would be half there for a while.
        place = f"{_PLACE}/{_mark(champion)}-{secrets.token_hex(4)}"
        try:
            self._upload(run_id, place, champion, job, bundle)
        except TrackingDown:
            # Somebody was quicker, and has removed our files while we wrote them; or it is down indeed.
            if (made := self.version_of(champion)) is None:
                raise
            return made
        with reaching(self._client.tracking_uri):
            self._ensure_model(champion.model)
            artifacts = self._client.get_run(run_id).info.artifact_uri
            self._client.create_model_version(
                champion.model,
                f"{artifacts}/{place}",
                run_id=run_id,
                tags={**_tags(champion), **about(champion, job)},
                description=_description(bundle / CARD, champion),
            )
        # Another shipper may have made one meanwhile: everybody keeps the lowest and removes the others.
        first, *surplus = self._versions(champion)
        self._remove(champion, surplus)
        return str(first)

    def _upload(self, run_id: str, place: str, champion: Champion, job: Job, bundle: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="adctl-pyfunc-") as name:
            folder = Path(name) / "model"
            save_pyfunc(bundle, folder, about(champion, job))
            with reaching(self._client.tracking_uri):
                self._client.log_artifacts(run_id, str(folder), place)

    def alias_of(self, champion: Champion) -> str | None:
        """Return the version that the alias points to."""
        from mlflow.exceptions import MlflowException

        try:
            with reaching(self._client.tracking_uri):
                found = self._client.get_model_version_by_alias(champion.model, champion.alias)
        except MlflowException as error:
            if error.error_code not in _MISSING:
                raise
            return None
        return str(found.version)

    def set_alias(self, champion: Champion, version: str) -> None:
        """Point the alias to a version."""
        from mlflow.exceptions import MlflowException

        try:
            with reaching(self._client.tracking_uri):
                self._client.set_registered_model_alias(champion.model, champion.alias, version)
        except MlflowException:
            # Of two that set a new alias at once, one finds it taken though both said the same.
            if self.alias_of(champion) != version:
                with reaching(self._client.tracking_uri):
                    self._client.set_registered_model_alias(champion.model, champion.alias, version)

    def tidy(self, champion: Champion, version: str) -> None:
        """Remove what was uploaded for a decision and is not the version's; to leave it would harm nobody.

        Whoever is still uploading finds that there is a lower version, and removes its own.
        """
        from mlflow.exceptions import MlflowException

        try:
            for _ in range(TRIES):  # others may remove the same files at the same time
                left = self._unused(champion, version)
                for folder in left:
                    with suppress(OSError):
                        left[folder].delete_artifacts(folder)
                if not left:
                    return
        except (MlflowException, NotImplementedError, Unavailable) as error:
            log.warning("%s has uploads that are not used: %s", champion.model, error)

    def _unused(self, champion: Champion, version: str) -> "dict[str, ArtifactRepository]":
        """Return the uploads for a decision that are not the version's, each with where it lies."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with reaching(self._client.tracking_uri):
            kept = self._client.get_model_version(champion.model, version)
            found = self._client.list_artifacts(kept.run_id, _PLACE)
            names = {file.path: file.path.rpartition("/")[2] for file in found}
            unused = [
                path
                for path, name in names.items()
                if name.rpartition("-")[0] == _mark(champion) and not str(kept.source).endswith(f"/{name}")
            ]
            if not unused:
                return {}
            place = get_artifact_repository(self._client.get_run(kept.run_id).info.artifact_uri)
        return dict.fromkeys(unused, place)

    def _remove(self, champion: Champion, versions: Sequence[int]) -> None:
        """Remove versions that a race or a death left over; others may do so at the same time."""
        from mlflow.exceptions import MlflowException

        for version in versions:
            try:
                with reaching(self._client.tracking_uri):
                    self._client.delete_model_version(champion.model, str(version))
            except MlflowException as error:
                if error.error_code not in _MISSING:
                    raise

    def _versions(self, champion: Champion) -> list[int]:
        with reaching(self._client.tracking_uri):
            found = self._client.search_model_versions(f"name = '{champion.model}'")
        mark = _tags(champion)[_DECISION]
        return sorted(int(version.version) for version in found if version.tags.get(_DECISION) == mark)

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def about(champion: Champion, job: Job) -> dict[str, str]:
    """Return what a version carries about itself: what it was fitted to, and by what it was chosen."""
    spec, evaluation = job.spec, champion.evidence.get("evaluation")
    return {
        "adctl.detector": spec.detector,
        "adctl.dataset": f"{spec.dataset.dataset}/{spec.dataset.category}",
        "adctl.dataset_fingerprint": spec.dataset.fingerprint,
        "adctl.holdout": spec.holdout,
        "adctl.selected_on": selected_on(job),
        **({"adctl.evaluation": evaluation} if isinstance(evaluation, str) else {}),
    }


def _description(card: Path, champion: Champion) -> str | None:
    """Return the card for a version's page, cut where it is longer than MLflow keeps."""
    if not card.is_file():
        return champion.reason or None
    text = card.read_text(encoding="utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n\n(more: {CARD} among the artifacts)"


def _mark(champion: Champion) -> str:
    """Return how the uploads for a decision begin."""
    return f"{champion.alias}-{champion.revision}"


def _tags(champion: Champion) -> dict[str, str]:
    return {
        _DECISION: f"{champion.alias}/{champion.revision}",
        "adctl.job_id": champion.job_id,
        "adctl.alias": champion.alias,
        "adctl.revision": str(champion.revision),
        "adctl.user": champion.user,
        "adctl.forced": str(champion.forced),
        **_evidence(champion),
    }


def _evidence(champion: Champion) -> dict[str, str]:
    """Return what tells versions of a model apart: equal weights may have different thresholds."""
    point, weights = champion.evidence.get("operating_point"), champion.evidence.get("weights")
    threshold = point.get("threshold") if isinstance(point, dict) else None
    found = {"adctl.weights": weights, "adctl.threshold": threshold}
    return {name: str(value) for name, value in found.items() if isinstance(value, str | float)}
