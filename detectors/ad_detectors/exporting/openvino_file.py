"""A fitted detector as OpenVINO's two files, made from the ONNX file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ad_detectors.exporting.graph import INPUT, OUTPUTS
from ad_detectors.exporting.onnx_file import Runner

# Without it many CPUs compute in bfloat16, and scores come out some percent off.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


def openvino_files(onnx: bytes, about: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return the contents of the .xml and of the .bin of an ONNX file; weights stay float32."""
    import openvino

    with tempfile.TemporaryDirectory(prefix="adctl-openvino-") as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "model.xml"
        source.write_bytes(onnx)
        # Not by convert_model: that reports its use over the network.
        model = openvino.Core().read_model(source)
        for name, text in about.items():
            model.set_rt_info(text, ["adctl", name.removeprefix("adctl.")])
        openvino.save_model(model, target, compress_to_fp16=False)
        return target.read_bytes(), target.with_suffix(".bin").read_bytes()


def runner(xml: bytes, weights: bytes) -> Runner:
    """Return a function that runs the two files with OpenVINO on the CPU, in float32."""
    import numpy as np
    import openvino

    core = openvino.Core()
    tensor = openvino.Tensor(np.frombuffer(weights, np.uint8).copy())
    compiled = core.compile_model(core.read_model(xml, tensor), "CPU", PRECISION)

    def run(images: np.typing.NDArray[np.uint8]) -> tuple[np.typing.NDArray[np.generic], ...]:
        found = compiled({INPUT: images})
        return tuple(found[name] for name in OUTPUTS)

    return run  # type: ignore[return-value]
