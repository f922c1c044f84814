"""The registry of models in MLflow: versions made of code and safetensors, never of a pickle."""

import tempfile
from pathlib import Path

from ad_platform.records import Champion, Job
from ad_platform.registry.release import CARD
from ad_platform.results import selected_on
from ad_platform.tracking.mlflow import MlflowTracker, reaching
from ad_platform.tracking.pyfunc import save_pyfunc

_DECISION = "adctl.decision"
_LONGEST = 4900  # characters that MLflow keeps of a description, less what says that there is more


class MlflowModels:
    """Model versions and aliases; the files of a version lie with the run of the job that made it."""

    def __init__(self, tracker: MlflowTracker) -> None:
        self._tracker = tracker
        self._client = tracker.client

    def version_of(self, champion: Champion) -> str | None:
        """Return the version made for this decision: the lowest, if a race made several."""
        versions = self._versions(champion)
        return str(versions[0]) if versions else None

    def register(self, champion: Champion, job: Job, bundle: Path) -> str:
        """Upload the model and make a version of it."""
        run_id = self._tracker.ensure_run(job)
        place = f"registered/{champion.alias}-{champion.revision}"
        with tempfile.TemporaryDirectory(prefix="adctl-pyfunc-") as name:
            folder = Path(name) / "model"
            save_pyfunc(bundle, folder, about(champion, job))
            with reaching(self._client.tracking_uri):
                self._client.log_artifacts(run_id, str(folder), place)
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
        for version in surplus:
            with reaching(self._client.tracking_uri):
                self._client.delete_model_version(champion.model, str(version))
        return str(first)

    def set_alias(self, champion: Champion, version: str) -> None:
        """Point the alias to a version."""
        with reaching(self._client.tracking_uri):
            self._client.set_registered_model_alias(champion.model, champion.alias, version)

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


def _tags(champion: Champion) -> dict[str, str]:
    return {
        _DECISION: f"{champion.alias}/{champion.revision}",
        "adctl.job_id": champion.job_id,
        "adctl.alias": champion.alias,
        "adctl.revision": str(champion.revision),
        "adctl.user": champion.user,
        "adctl.forced": str(champion.forced),
    }
