"""The registry of models in MLflow: versions made of code and safetensors, never of a pickle."""

import importlib.metadata
import importlib.util
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ad_platform.errors import MissingExtra
from ad_platform.records import Champion, Job
from ad_platform.results import selected_on
from ad_platform.tracking.mlflow import MlflowTracker, reaching

# What the served model imports; its versions are those it was made with.
_NEEDS = ("mlflow", "numpy", "pillow", "pydantic", "safetensors", "timm", "torch", "torchvision")
_DECISION = "adctl.decision"


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
                description=card(champion, job),
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


def card(champion: Champion, job: Job) -> str:
    """Return the description of a version, in Markdown: why it was promoted, and what speaks for it."""
    spec, chosen = job.spec, selected_on(job)
    auroc = champion.evidence.get("image_auroc")
    flatters = "; measures on those images flatter" if chosen.startswith("test") else ""
    no = [gate for gate in _said_no(champion) if champion.forced]
    lines = [
        champion.reason,
        f"**{spec.detector}** fitted to **{spec.dataset.dataset}/{spec.dataset.category}**, job `{job.id}`; "
        f"held out: {spec.holdout}; settings selected on: **{chosen}**{flatters}.",
        f"Image AUROC on test: {auroc:.4f}." if isinstance(auroc, int | float) else "",
        f"Promoted by force, past: {', '.join(no)}." if no else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _said_no(champion: Champion) -> list[str]:
    gates = champion.evidence.get("gates")
    found = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    return [str(gate.get("gate")) for gate in found if gate.get("passed") is False]


def save_pyfunc(bundle: Path, folder: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model folder that holds the code to run it, the files of a bundle, and what to install.

    `metadata` is what the served model tells of itself, in its file MLmodel.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="adctl-code-") as name:
        # Only sources travel: what was compiled here is of no use elsewhere.
        code = Path(name) / "ad_detectors"
        shutil.copytree(detectors_package(), code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(Path(__file__).parent.parent / "registry" / "pyfunc_model.py"),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(code)],
            pip_requirements=requirements(),
            metadata=dict(metadata or {}),
        )


def detectors_package() -> Path:
    """Return the folder of the detectors library without importing it."""
    spec = importlib.util.find_spec("ad_detectors")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("registering a model", "worker")
    return Path(next(iter(spec.submodule_search_locations)))


def requirements() -> list[str]:
    """Return what a served model needs, at the versions installed here; a local build has no suffix."""
    found = []
    for name in _NEEDS:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(f"{name}=={re.sub(r'[+].*', '', version)}")
    return found


def _tags(champion: Champion) -> dict[str, str]:
    return {
        _DECISION: f"{champion.alias}/{champion.revision}",
        "adctl.job_id": champion.job_id,
        "adctl.alias": champion.alias,
        "adctl.revision": str(champion.revision),
        "adctl.user": champion.user,
        "adctl.forced": str(champion.forced),
    }
