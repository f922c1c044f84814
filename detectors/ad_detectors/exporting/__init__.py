"""Fitted detectors as files that other programs run: ONNX and OpenVINO, with everything inside the graph."""
