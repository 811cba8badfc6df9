# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of bench/train: ResNet-20 as in models/resnet20_cifar10_jpegft.onnx, whose names its state has, and what
one step of training it is. Eager mode as PyTorch's own quantizable networks use it (torchvision's add_relu, fused modules)."""
import torch
from torch import nn
from torch.ao import quantization as ao
from torch.ao.nn.intrinsic.qat import freeze_bn_stats
from torch.ao.nn.quantized import FloatFunctional
from torch.nn import functional as F

BACKEND = 'x86'  # fbgemm's configuration has the same numbers


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.sum = FloatFunctional()
        self.stride, self.added = stride, (outputs - inputs) // 2

    def shortcut(self, x):
        """Without weights: every other pixel, channels of zero on both sides."""
        if not self.added:
            return x
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.added, self.added))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        return self.sum.add_relu(self.bn2(self.conv2(out)), self.shortcut(x))

    fused = [['conv1', 'bn1', 'relu'], ['conv2', 'bn2']]


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        stage = lambda inputs, outputs, stride: nn.Sequential(
            Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(self.quant(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.dequant(self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1)))

    def groups(self):
        yield from (['conv1', 'bn1', 'relu'],)
        for name, module in self.named_modules():
            if isinstance(module, Block):
                yield from ([f'{name}.{part}' for part in group] for group in Block.fused)


def load(path):
    import onnx
    from onnx import numpy_helper
    network = ResNet20()
    weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(path).graph.initializer}
    state = network.state_dict()
    network.load_state_dict({name: weights.get(name, value) for name, value in state.items()})
    missing = [name for name in state if name not in weights and not name.endswith('num_batches_tracked')]
    assert not missing, missing
    return network.train()


def prepare(network, version):
    """Fuses and puts FakeQuantize in: version 0 has an observer and a FakeQuantize of their own, 1 the fused operator."""
    ao.fuse_modules_qat(network, list(network.groups()), inplace=True)
    network.qconfig = ao.get_default_qat_qconfig(BACKEND, version=version)
    return ao.prepare_qat(network, inplace=True)


class Training:
    """One network in training; step(i) is one step on batch i and gives the loss."""
    def __init__(self, job, inputs, labels):
        torch.set_num_threads(job['threads'])
        layout = torch.channels_last if job['layout'] == 'channels last' else torch.contiguous_format
        self.network = load(job['path'])
        if job['mode'] != 'float':
            self.network = prepare(self.network, job['version'])
        self.network = self.network.to(memory_format=layout)
        self.inputs = [torch.from_numpy(x).to(memory_format=layout) for x in inputs]
        self.labels = [torch.from_numpy(y) for y in labels]
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=job['rate'], momentum=job['momentum'],
                                         weight_decay=job['decay'])

    def freeze(self):
        self.network.apply(freeze_bn_stats)
        self.network.apply(ao.disable_observer)

    def step(self, index):
        at = index % len(self.inputs)
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(self.inputs[at]), self.labels[at])
        loss.backward()
        self.optimizer.step()
        return loss.item()
