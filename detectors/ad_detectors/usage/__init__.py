"""A fitted model in one line: `load("models:/ddad-mvtec-screw@champion").predict("part.png")`.

Needs torch, timm, numpy, Pillow, pydantic and safetensors; MLflow only for a registered model's address.
"""

from ad_detectors.usage.model import Model, load
from ad_detectors.usage.result import Result

__all__ = ["Model", "Result", "load"]
