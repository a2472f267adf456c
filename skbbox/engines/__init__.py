"""Engines run a network that is not being trained: Keras, ONNX Runtime or OpenVINO."""
