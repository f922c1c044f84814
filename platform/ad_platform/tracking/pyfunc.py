"""A registered model's folder: code, safetensors, requirements, schema, example, card; never a pickle."""

import base64
import importlib.metadata
import importlib.util
import io
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ad_platform.errors import MissingExtra
from ad_platform.registry.release import CARD, RELEASE

# What the served model imports; its versions are those it was made with.
_NEEDS = ("mlflow", "numpy", "pillow", "pydantic", "safetensors", "timm", "torch", "torchvision")
_MODEL = Path(__file__).parent.parent / "registry" / "pyfunc_model.py"
_SIDE = 64  # pixels of the example


def save_pyfunc(bundle: Path, folder: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model folder from the files of a release, complete with what is needed to use it elsewhere.

    `metadata` is what the served model tells of itself, in its file MLmodel.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="adctl-code-") as name:
        # Only sources travel: what was compiled here is of no use elsewhere.
        code = Path(name) / "ad_detectors"
        shutil.copytree(detectors_package(), code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        files = Path(name) / "bundle"  # whatever the folder is called, this is where a loader looks
        shutil.copytree(bundle, files)
        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(_MODEL),
            artifacts={"bundle": str(files)},
            code_paths=[str(code)],
            pip_requirements=requirements(),
            signature=signature(),
            input_example=([example()], {"maps": "none"}),
            metadata={**(metadata or {}), **_metadata(bundle / RELEASE)},
        )
    if (bundle / CARD).is_file():
        shutil.copy(bundle / CARD, folder / CARD)


def signature() -> Any:
    """Return the schema of a model: any image in, what `ad_detectors.usage.wire.answer` gives out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    made = ModelSignature(
        inputs=Schema([ColSpec(AnyType())]),
        outputs=Schema(
            [
                ColSpec(DataType.double, "score"),
                ColSpec(DataType.boolean, "anomalous", required=False),
                ColSpec(DataType.double, "threshold", required=False),
                ColSpec(AnyType(), "map", required=False),
                ColSpec(DataType.double, "map_threshold", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("maps", DataType.string, "none")]),
    )
    # Hand the model what was sent: made into a frame or an array first, half of what an image can be would be
    # refused, some of it with status 500.
    made._is_signature_from_type_hint = True
    return made


def example() -> str:
    """Return a small picture as it is sent: base64 of a PNG file."""
    from PIL import Image

    shades = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    buffer = io.BytesIO()
    Image.merge("RGB", (shades, shades, shades)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


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


def _metadata(release: Path) -> dict[str, Any]:
    return {"adctl": json.loads(release.read_text(encoding="utf-8"))} if release.is_file() else {}
