"""A fitted model in one line: `load("models:/ddad-mvtec-screw@champion").predict("part.png")`.

`load`, `Model` and `Result` are offered by `ad_detectors`. Needs torch, timm, numpy, Pillow, pydantic and
safetensors; MLflow only for a registered model's address. Nothing here but `model` loads torch.
"""
