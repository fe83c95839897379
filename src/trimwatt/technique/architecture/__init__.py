"""Networks made for the data, untrained; a training step follows."""

from trimwatt.technique.architecture.cnn import SmallCnn
from trimwatt.technique.architecture.deep_resnet import DeepResNet
from trimwatt.technique.architecture.efficientnet import EfficientNet
from trimwatt.technique.architecture.mlp import TorchMlp
from trimwatt.technique.architecture.mobilenet import MobileNetV1, MobileNetV2, MobileNetV3
from trimwatt.technique.architecture.resnet import SmallResNet
from trimwatt.technique.architecture.shufflenet import ShuffleNetV2
from trimwatt.technique.architecture.squeezenet import SqueezeNet

__all__ = [
    "DeepResNet", "EfficientNet", "MobileNetV1", "MobileNetV2", "MobileNetV3", "ShuffleNetV2", "SmallCnn",
    "SmallResNet", "SqueezeNet", "TorchMlp",
]  # fmt: skip
