"""Networks made for the data: small ones, untrained; a training step follows."""

from trimwatt.technique.architecture.cnn import SmallCnn
from trimwatt.technique.architecture.mlp import TorchMlp
from trimwatt.technique.architecture.resnet import SmallResNet

__all__ = ["SmallCnn", "SmallResNet", "TorchMlp"]
