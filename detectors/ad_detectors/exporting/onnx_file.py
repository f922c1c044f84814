"""A fitted detector as one ONNX file, checked, with what it is written into it."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors.errors import NotExportable
from ad_detectors.exporting.graph import INPUT, OUTPUTS, ScoringGraph

if TYPE_CHECKING:
    from ad_detectors.api import Detector

# uint8 (B, H, W, 3) -> scores (B,), whether anomalous (B,), maps (B, H, W)
Runner: TypeAlias = Callable[[NDArray[np.uint8]], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]

OPSET = 20  # since onnxruntime 1.17
LARGEST = 2_000_000_000  # bytes: protobuf holds no more in one message
DOCUMENTED = {
    INPUT: "RGB images, uint8 (count, height, width, 3), of any size, upright",
    "score": "float32 (count): higher is more anomalous",
    "anomalous": "bool (count): whether the score exceeds the threshold",
    "map": "float32 (count, height, width): how anomalous each pixel is",
}
_AXES = ("count", "height", "width")


def onnx_file(
    detector: Detector, threshold: float, about: Mapping[str, str], *, branching: bool = True
) -> bytes:
    """Return a file that scores images of any size as `detector.score` does, but for rounding.

    Inside are the resizing, the normalisation and the threshold; `about` becomes its metadata. Raises
    NotExportable for a detector that has no export or is too large for one, StateError for one not fitted.
    """
    import onnx

    side = int(detector.config.image_size)
    graph = ScoringGraph(detector.export_module(), side, threshold, branching=branching).eval()
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values())
    if size > LARGEST:
        raise NotExportable(
            f"its weights take {size / 1e9:.1f} GB, and an ONNX file holds {LARGEST / 1e9:.0f}; "
            "fit it with a smaller bank or backbone"
        )
    model = onnx.load_from_string(_traced(graph))
    _name_axes(model.graph)
    _forget_where_it_was_made(model)
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = DOCUMENTED[value.name]
    model.producer_name, model.producer_version = "adctl", about.get("adctl.version", "")
    for name, text in about.items():
        model.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(model, full_check=True)
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


def runner(file: bytes) -> Runner:
    """Return a function that runs a file with onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: tuple(session.run(list(OUTPUTS), {INPUT: images}))


def _traced(graph: ScoringGraph) -> bytes:
    """Return what the exporter makes of a graph, for any number of images of any size."""
    dynamic = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    # Sizes that are like neither each other nor the model's: the tracer takes equal numbers for the same.
    images = torch.zeros(2, 37, 53, 3, dtype=torch.uint8)
    with torch.no_grad(), _quietly():
        program = torch.export.export(graph, (images,), dynamic_shapes=(dynamic,), strict=False)
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert made is not None
    held = io.BytesIO()
    made.save(held)  # type: ignore[arg-type]  # it takes a file as well
    return held.getvalue()


def _name_axes(graph: Any) -> None:
    """Call the open axes what they are; the tracer calls them s34, s90 and s14."""
    shape = next(each for each in graph.input if each.name == INPUT).type.tensor_type.shape
    names = {axis.dim_param: name for axis, name in zip(shape.dim, _AXES, strict=False)}
    for value in _values(graph):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = re.sub(r"\w+", lambda found: names.get(found[0], found[0]), axis.dim_param)


def _forget_where_it_was_made(model: Any) -> None:
    """Remove the exporter's notes: paths and lines of this machine's Python files at every node."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    for graph in (
        model.graph,
        *(each for node in model.graph.node for each in _inner(node)),
        *model.functions,
    ):
        for part in (*graph.node, *graph.value_info):
            del part.metadata_props[:]
            part.doc_string = ""
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]


def _inner(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def _values(graph: Any) -> Iterator[Any]:
    yield from (*graph.input, *graph.output, *graph.value_info)
    for node in graph.node:
        for inner in _inner(node):
            yield from _values(inner)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks about itself from a person who can do nothing about them."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
