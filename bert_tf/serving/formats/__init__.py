"""Exports in other libraries' formats: Transformers, KerasHub, ONNX."""
