"""Weights removed for good: channels and blocks of PyTorch modules, units of dense chains in ONNX."""
