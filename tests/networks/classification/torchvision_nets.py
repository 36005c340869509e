"""torchvision's networks written down again, in its naming, as references: there is no torchvision here."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


def downsample(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    def __init__(self, block: type[BasicBlock | Bottleneck], blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, count in enumerate(blocks):
            width, layers = 64 * 2**stage, nn.Sequential()
            for number in range(count):
                layers.append(block(inputs, width, 2 if stage and not number else 1))
                inputs = width * block.expansion
            self.add_module(f"layer{stage + 1}", layers)
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def random_resnet(block: type[BasicBlock | Bottleneck], blocks: tuple[int, int, int, int]) -> ResNet:
    """A residual net whose batch norms have statistics, scales and shifts of their own."""
    generator = torch.Generator().manual_seed(5)
    network = ResNet(block, blocks).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            randomise(module, generator)
    return network


def randomise(norm: nn.BatchNorm2d, generator: torch.Generator) -> None:
    with torch.no_grad():
        for tensor, low, high in (
            (norm.weight, 0.5, 1.5), (norm.bias, -0.2, 0.2), (norm.running_mean, -0.2, 0.2), (norm.running_var, 0.5, 2),
        ):  # fmt: skip
            assert tensor is not None
            tensor.uniform_(low, high, generator=generator)


ALEXNET_CONVOLUTIONS = ((0, 3, 64, 11, 4, 2), (3, 64, 192, 5, 1, 2), (6, 192, 384, 3, 1, 1), (8, 384, 256, 3, 1, 1),
                        (10, 256, 256, 3, 1, 1))  # fmt: skip
CLASSICAL_LINEARS = {"alexnet": ((1, 9216, 4096), (4, 4096, 4096), (6, 4096, 1000)),
                     "vgg16": ((0, 25088, 4096), (3, 4096, 4096), (6, 4096, 1000))}  # fmt: skip
VGG16_CONVOLUTIONS = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256),
                      (14, 256, 256), (17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512),
                      (28, 512, 512))  # fmt: skip


def classical_weights(name: str) -> dict[str, Tensor]:
    """Random weights of AlexNet or VGG-16 in torchvision's naming, on the default device."""
    kernels = {"alexnet": [row[:4] for row in ALEXNET_CONVOLUTIONS], "vgg16": [(*r, 3) for r in VGG16_CONVOLUTIONS]}
    weights = {}
    for index, inputs, outputs, kernel in kernels[name]:
        scale = (2 / inputs) ** 0.5 / kernel
        weights[f"features.{index}.weight"] = scale * torch.randn(outputs, inputs, kernel, kernel)
        weights[f"features.{index}.bias"] = 0.1 * torch.randn(outputs)
    for index, inputs, outputs in CLASSICAL_LINEARS[name]:
        weights[f"classifier.{index}.weight"] = torch.randn(outputs, inputs) / inputs**0.5
        weights[f"classifier.{index}.bias"] = 0.1 * torch.randn(outputs)
    return weights


def alexnet(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Logits of AlexNet without dropout."""
    for index, _, _, _, stride, padding in ALEXNET_CONVOLUTIONS:
        weight, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
        x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
        if index in (0, 3, 10):
            x = functional.max_pool2d(x, 3, 2)
    x = functional.adaptive_avg_pool2d(x, 6).flatten(1)
    for index in (1, 4):
        x = functional.relu(x @ weights[f"classifier.{index}.weight"].T + weights[f"classifier.{index}.bias"])
    return x @ weights["classifier.6.weight"].T + weights["classifier.6.bias"]


def densenet121_weights() -> dict[str, Tensor]:
    """Random weights of DenseNet-121 in torchvision's naming."""
    weights: dict[str, Tensor] = {}
    _conv_and_norm(weights, "features.conv0", "features.norm0", 3, 64, 7, norm_width=64)
    width = 64
    for block, count in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, count + 1):
            place = f"features.denseblock{block}.denselayer{layer}."
            _conv_and_norm(weights, place + "conv1", place + "norm1", width, 128, 1, norm_width=width)
            _conv_and_norm(weights, place + "conv2", place + "norm2", 128, 32, 3, norm_width=128)
            width += 32
        if block < 4:
            place = f"features.transition{block}."
            _conv_and_norm(weights, place + "conv", place + "norm", width, width // 2, 1, norm_width=width)
            width //= 2
    weights |= _norm("features.norm5", width)
    return weights | {"classifier.weight": torch.randn(1000, width) / 32, "classifier.bias": torch.randn(1000)}


def densenet121(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Logits of DenseNet-121 in evaluation."""

    def norm_relu(name: str, x: Tensor) -> Tensor:
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return functional.relu(functional.batch_norm(x, mean, var, weights[f"{name}.weight"], weights[f"{name}.bias"]))

    x = norm_relu("features.norm0", functional.conv2d(x, weights["features.conv0.weight"], None, 2, 3))
    x = functional.max_pool2d(x, 3, 2, 1)
    for block, count in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, count + 1):
            place = f"features.denseblock{block}.denselayer{layer}."
            y = functional.conv2d(norm_relu(place + "norm1", x), weights[place + "conv1.weight"])
            y = functional.conv2d(norm_relu(place + "norm2", y), weights[place + "conv2.weight"], None, 1, 1)
            x = torch.cat([x, y], 1)
        if block < 4:
            place = f"features.transition{block}."
            x = functional.conv2d(norm_relu(place + "norm", x), weights[place + "conv.weight"])
            x = functional.avg_pool2d(x, 2)
    return norm_relu("features.norm5", x).mean((2, 3)) @ weights["classifier.weight"].T + weights["classifier.bias"]


def _conv_and_norm(
    weights: dict[str, Tensor], conv: str, norm: str, inputs: int, outputs: int, kernel: int, *, norm_width: int
) -> None:
    weights[f"{conv}.weight"] = (2 / inputs) ** 0.5 / kernel * torch.randn(outputs, inputs, kernel, kernel)
    weights |= _norm(norm, norm_width)


def _norm(name: str, width: int) -> dict[str, Tensor]:
    return {
        f"{name}.weight": 0.5 + torch.rand(width), f"{name}.bias": 0.2 * torch.randn(width),
        f"{name}.running_mean": 0.2 * torch.randn(width), f"{name}.running_var": 0.5 + torch.rand(width),
        f"{name}.num_batches_tracked": torch.tensor(7),
    }  # fmt: skip
