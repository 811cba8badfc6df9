# SPDX-License-Identifier: Apache-2.0
"""Writes small networks with random weights through both ONNX exporters of PyTorch: for each a file NAME.VARIANT.onnx and
its inputs, NAME.npz. Runs in bench/.venv-export.
Usage: python exporters_torch.py DIR [NAME...]"""
import io, pathlib, sys, warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import torch
import torchvision.models as vision
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings('ignore')
SAMPLES = 8  # rows of every input


class Call(nn.Module):
    """A function of tensors and parameters as a module."""
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs):
        return self.function(self, *inputs)


class Named(nn.Module):
    """Of a network that returns a dictionary, one entry."""
    def __init__(self, net, key='out'):
        super().__init__()
        self.net, self.key = net, key

    def forward(self, x):
        return self.net(x)[self.key]


# ---- torchvision's, made smaller ----

def alexnet():
    return nn.Sequential(vision.alexnet().features, nn.Flatten(), nn.Dropout(), nn.Linear(256, 32), nn.ReLU(),
                         nn.Linear(32, 10))


def vgg():
    layers = vision.vgg11_bn().features[:15]
    return nn.Sequential(layers, nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(256 * 4, 10))


def convnext():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt
    return ConvNeXt([CNBlockConfig(24, 48, 2), CNBlockConfig(48, None, 2)], layer_scale=0.4, num_classes=10)


def swin(version):
    from torchvision.models import swin_transformer as module
    block = {1: module.SwinTransformerBlock, 2: module.SwinTransformerBlockV2}[version]
    merge = {1: module.PatchMerging, 2: module.PatchMergingV2}[version]
    return module.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=10, block=block,
                                  downsample_layer=merge)


def vit():
    net = vision.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64,
                                   num_classes=10)
    nn.init.normal_(net.heads.head.weight, std=0.2)  # torchvision's starts as zeros
    return net


def maxvit():
    return vision.MaxVit(input_size=(64, 64), stem_channels=8, partition_size=4, block_channels=[8, 16],
                         block_layers=[1, 1], head_dim=8, stochastic_depth_prob=0.0, num_classes=10)


def densenet():
    return vision.DenseNet(growth_rate=8, block_config=(3, 3), num_init_features=16, num_classes=10)


def googlenet():
    return vision.GoogLeNet(num_classes=10, aux_logits=False, init_weights=False)


def inception():
    return vision.Inception3(num_classes=10, aux_logits=False, init_weights=False)


def regnet(name):
    return getattr(vision, name)(num_classes=10)


def deeplab():
    return Named(vision.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5))


def fcn():
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead
    backbone = IntermediateLayerGetter(vision.resnet18(), {'layer2': 'out'})
    return Named(FCN(backbone, FCNHead(128, 5)))


def lraspp():
    return Named(vision.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5))


class Detector(nn.Module):
    """SSDLite of one picture, boxes and scores behind its non-maximum suppression."""
    def __init__(self):
        super().__init__()
        self.net = vision.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)

    def forward(self, x):
        found = self.net([x[0]])[0]
        return found['boxes'], found['scores'], found['labels']


# ---- other kinds ----

def recurrent(kind, bidirectional):
    width = 12 * (2 if bidirectional else 1)
    return Call(lambda m, x: m.head(m.cells(x)[0][:, -1]), head=nn.Linear(width, 5),
                cells=getattr(nn, kind)(8, 12, num_layers=2, batch_first=True, bidirectional=bidirectional))


def speech_recurrent():
    """Convolutions over a spectrogram, then a GRU over time (CRNN)."""
    def run(m, x):
        x = m.front(x)
        x = x.permute(0, 3, 1, 2).flatten(2)
        return F.log_softmax(m.head(m.cells(x)[0]), dim=-1)
    front = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((2, 1)))
    return Call(run, front=front, cells=nn.GRU(8 * 8, 16, batch_first=True, bidirectional=True), head=nn.Linear(32, 6))


def encoder():
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, activation='gelu', batch_first=True)
    return Call(lambda m, x: m.head(m.body(m.table(x)).mean(1)), table=nn.Embedding(40, 16),
                body=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), head=nn.Linear(16, 5))


class Decoder(nn.Module):
    """A small GPT: causal attention, learned positions, a head that shares the embedding."""
    def __init__(self, vocabulary=48, width=16, heads=4, length=12):
        super().__init__()
        self.heads, self.table, self.places = heads, nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens):
        batch, length = tokens.shape
        x = self.table(tokens) + self.places(torch.arange(length, device=tokens.device))
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, -1))
        x = x + self.down(F.gelu(self.up(self.norms[1](x)), approximate='tanh'))
        return self.norms[2](x) @ self.table.weight.T


class Llama(nn.Module):
    """Root mean square norms, rotary positions, gated SiLU."""
    def __init__(self, width=16, heads=2, length=10):
        super().__init__()
        self.heads, self.table = heads, nn.Embedding(40, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width, eps=1e-6) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up, self.down = nn.Linear(width, 32), nn.Linear(width, 32), nn.Linear(32, width)
        angle = torch.outer(torch.arange(length).float(), 10000.0 ** (-torch.arange(0, width // heads, 2) / (width // heads)))
        self.register_buffer('cos', torch.cat([angle.cos()] * 2, -1))
        self.register_buffer('sin', torch.cat([angle.sin()] * 2, -1))

    def turn(self, x):
        a, b = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat([-b, a], -1) * self.sin

    def forward(self, tokens):
        batch, length = tokens.shape
        x = self.table(tokens)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        scores = self.turn(q) @ self.turn(k).transpose(-1, -2) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float('-inf'))
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1))
        y = self.norms[1](x)
        return self.norms[2](x + self.down(F.silu(self.gate(y)) * self.up(y)))


def text_cnn():
    def run(m, tokens):
        x = m.table(tokens).transpose(1, 2)
        return m.head(torch.cat([F.relu(conv(x)).amax(2) for conv in (m.three, m.four, m.five)], 1))
    return Call(run, table=nn.Embedding(50, 12), three=nn.Conv1d(12, 8, 3), four=nn.Conv1d(12, 8, 4),
                five=nn.Conv1d(12, 8, 5), head=nn.Linear(24, 4))


def embedding_bag():
    return Call(lambda m, tokens: m.head(m.bag(tokens)), bag=nn.EmbeddingBag(50, 12, mode='mean'), head=nn.Linear(12, 4))


def volume():
    return nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2),
                         nn.Conv3d(6, 8, 3, padding=1, stride=(1, 2, 2)), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
                         nn.Linear(8, 4))


def unet():
    def two(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1),
                             nn.BatchNorm2d(b), nn.ReLU())

    def run(m, x):
        a = m.a(x)
        b = m.b(F.max_pool2d(a, 2))
        c = m.c(F.max_pool2d(b, 2))
        b = m.d(torch.cat([m.up1(c), b], 1))
        return torch.sigmoid(m.out(m.e(torch.cat([m.up2(b), a], 1))))
    return Call(run, a=two(3, 8), b=two(8, 16), c=two(16, 24), up1=nn.ConvTranspose2d(24, 16, 2, 2), d=two(32, 16),
                up2=nn.ConvTranspose2d(16, 8, 3, 2, padding=1, output_padding=1), e=two(16, 8), out=nn.Conv2d(8, 1, 1))


def generator():
    return nn.Sequential(nn.Unflatten(1, (20, 1, 1)), nn.ConvTranspose2d(20, 32, 4), nn.BatchNorm2d(32), nn.ReLU(True),
                         nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
                         nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())


def style():
    """Reflected borders, instance norms, upsampling by nearest and bilinear."""
    return nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(3, 8, 5), nn.InstanceNorm2d(8, affine=True), nn.ReLU(),
                         nn.Conv2d(8, 8, 3, 2, 1), nn.InstanceNorm2d(8), nn.ReLU(), nn.Upsample(scale_factor=2),
                         nn.ReplicationPad2d(1), nn.Conv2d(8, 8, 3), nn.Upsample(scale_factor=2, mode='bilinear'),
                         nn.Conv2d(8, 3, 1), nn.Upsample(size=(20, 20), mode='bicubic', align_corners=True))


def group_norm():
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 16, 3, padding=1, groups=4),
                         nn.GroupNorm(1, 16), nn.Mish(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 5))


def pixel_shuffle():
    return nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 16, 3, padding=1), nn.Hardtanh(),
                         nn.Conv2d(16, 9, 3, padding=1), nn.PixelShuffle(3))


def activations():
    kinds = [nn.PReLU(8), nn.ELU(), nn.SELU(), nn.CELU(0.7), nn.Softplus(), nn.Softsign(), nn.Hardswish(), nn.Hardsigmoid(),
             nn.LogSigmoid(), nn.GELU(), nn.GELU('tanh'), nn.ReLU6(), nn.Hardshrink(0.1), nn.Softshrink(0.1), nn.Threshold(0.0, 0.1),
             nn.Tanhshrink(), nn.PReLU()]
    return nn.Sequential(*(layer for kind in kinds for layer in (nn.Conv2d(8, 8, 1), kind)))


def squeeze_excite():
    def run(m, x):
        x = m.front(x)
        return m.head((x * m.gate(x.mean((2, 3), keepdim=True))).flatten(1))
    gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
    return Call(run, front=nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.BatchNorm2d(8), nn.Hardswish()), gate=gate,
                head=nn.Linear(8 * 4 * 4, 6))


def temporal():
    """Dilated causal convolutions with gates (WaveNet), weights normed."""
    from torch.nn.utils.parametrizations import weight_norm

    def run(m, x):
        for i, gate in enumerate(m.gates):
            y = F.pad(x, (2 * 2 ** i, 0))
            a, b = gate(y).chunk(2, dim=1)
            x = x + torch.tanh(a) * torch.sigmoid(b)
        return m.head(x)
    return Call(run, gates=nn.ModuleList(weight_norm(nn.Conv1d(8, 16, 3, dilation=2 ** i)) for i in range(3)),
                head=nn.Conv1d(8, 4, 1))


def two_inputs():
    def run(m, image, features):
        x = torch.cat([m.image(image), m.features(features)], 1)
        return m.first(x), F.softmax(m.second(x), dim=1)
    return Call(run, image=nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
                features=nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()), first=nn.Linear(16, 3),
                second=nn.Linear(16, 4))


def yolo():
    """A head that decodes boxes: a grid, sigmoids, slices that are put together again."""
    def run(m, x):
        y = m.body(x)
        batch, _, height, width = y.shape
        y = y.view(batch, 2, 7, height, width).permute(0, 1, 3, 4, 2).contiguous()
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        grid = torch.stack((columns, rows), 2).view(1, 1, height, width, 2).float()
        place, size, rest = y.sigmoid().split((2, 2, 3), 4)
        out = torch.cat(((place * 2 + grid - 0.5) * 8, (size * 2) ** 2 * 16, rest), 4)
        return out.view(batch, -1, 7)
    body = nn.Sequential(nn.Conv2d(3, 8, 6, 2, 2), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.MaxPool2d(5, 1, 2),
                         nn.Conv2d(16, 14, 1))
    return Call(run, body=body)


def spatial_transformer():
    def run(m, x):
        theta = m.theta(F.avg_pool2d(x, 4).flatten(1)).view(-1, 2, 3) + torch.eye(2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return m.head(F.grid_sample(x, grid, align_corners=False).flatten(1))
    return Call(run, theta=nn.Linear(16, 6), head=nn.Linear(256, 5))


def embedding_net():
    """A descriptor of unit length."""
    return Call(lambda m, x: F.normalize(m.head(m.front(x).flatten(2).mean(2))), head=nn.Linear(8, 6),
                front=nn.Sequential(nn.Conv2d(3, 8, 3), nn.LocalResponseNorm(3), nn.ReLU(), nn.AvgPool2d(3, 2, 1)))


def mlp():
    return nn.Sequential(nn.Linear(10, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(), nn.Linear(24, 16), nn.Sigmoid(),
                         nn.Linear(16, 3), nn.Softmax(dim=1))


def autoencoder():
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 12), nn.Linear(12, 4 * 64),
                         nn.ReLU(), nn.Unflatten(1, (4, 8, 8)), nn.ConvTranspose2d(4, 1, 4, 2, 1))


def mixer():
    def run(m, x):
        x = m.patches(x).flatten(2).transpose(1, 2)
        x = x + m.tokens(m.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + m.channels(m.norm2(x))
        return m.head(x.mean(1))
    two = lambda a, b: nn.Sequential(nn.Linear(a, b), nn.GELU(), nn.Linear(b, a))
    return Call(run, patches=nn.Conv2d(3, 16, 8, 8), norm1=nn.LayerNorm(16), tokens=two(16, 32), norm2=nn.LayerNorm(16),
                channels=two(16, 32), head=nn.Linear(16, 5))


def attention_2d():
    """Attention over pixels by einsum, multi-head attention of the module."""
    def run(m, x):
        x = m.front(x)
        q, k, v = m.qkv(x).flatten(2).chunk(3, dim=1)
        near = torch.einsum('bci,bcj->bij', q, k).div(8 ** 0.5).softmax(-1)
        y = torch.einsum('bij,bcj->bci', near, v).transpose(1, 2)
        y, _ = m.heads(y, y, y, need_weights=False)
        return m.head(y.amax(1))
    return Call(run, front=nn.Conv2d(3, 8, 8, 8), qkv=nn.Conv2d(8, 24, 1), head=nn.Linear(8, 4),
                heads=nn.MultiheadAttention(8, 2, batch_first=True))


def forecaster():
    """Numbers scaled by their own mean and spread, a trend taken off, a line fitted (N-BEATS, DLinear)."""
    def run(m, x):
        mean, spread = x.mean(1, keepdim=True), x.std(1, keepdim=True, unbiased=False) + 1e-5
        x = (x - mean) / spread
        trend = F.avg_pool1d(F.pad(x.unsqueeze(1), (2, 2), mode='replicate'), 5, 1).squeeze(1)
        return (m.season(x - trend) + m.trend(trend)) * spread + mean
    return Call(run, season=nn.Linear(24, 6), trend=nn.Linear(24, 6))


def keypoints():
    """Heat maps, and the places of their peaks."""
    def run(m, x):
        maps = m.body(x)
        best, place = maps.flatten(2).max(2)
        return maps, best, torch.stack((place % maps.shape[3], torch.div(place, maps.shape[3], rounding_mode='floor')), 2)
    return Call(run, body=nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 4, 2, 1)))


def graph_network():
    """A dense graph convolution: the adjacency matrix is an input."""
    def run(m, x, near):
        near = near / near.sum(-1, keepdim=True).clamp(min=1)
        x = F.relu(m.first(near @ x))
        return m.second(torch.bmm(near, x)).max(dim=1)[0]
    return Call(run, first=nn.Linear(6, 12), second=nn.Linear(12, 4))


def image(size, channels=3):
    return lambda random: random.normal(size=(SAMPLES, channels, size, size)).astype(np.float32)


def reals(*shape):
    return lambda random: random.normal(size=(SAMPLES, *shape)).astype(np.float32)


def tokens(length, top):
    return lambda random: random.integers(0, top, (SAMPLES, length)).astype(np.int64)


def adjacency(size):
    return lambda random: (random.random((SAMPLES, size, size)) < 0.4).astype(np.float32)


NETS = {  # name: network, inputs
    'alexnet': (alexnet, image(64)),
    'vgg11_bn': (vgg, image(32)),
    'resnet18': (lambda: vision.resnet18(num_classes=10), image(64)),
    'mobilenet_v2': (lambda: vision.mobilenet_v2(num_classes=10, width_mult=0.5), image(64)),
    'mobilenet_v3': (lambda: vision.mobilenet_v3_small(num_classes=10), image(64)),
    'efficientnet_b0': (lambda: vision.efficientnet_b0(num_classes=10), image(64)),
    'shufflenet_v2': (lambda: vision.shufflenet_v2_x0_5(num_classes=10), image(64)),
    'densenet': (densenet, image(64)),
    'squeezenet1_1': (lambda: vision.squeezenet1_1(num_classes=10), image(64)),
    'googlenet': (googlenet, image(64)),
    'inception_v3': (inception, image(75)),
    'convnext': (convnext, image(32)),
    'swin': (lambda: swin(1), image(32)),
    'swin_v2': (lambda: swin(2), image(32)),
    'vit': (vit, image(32)),
    'maxvit': (maxvit, image(64)),
    'regnet_x': (lambda: regnet('regnet_x_400mf'), image(64)),
    'regnet_y': (lambda: regnet('regnet_y_400mf'), image(64)),
    'mnasnet': (lambda: vision.mnasnet0_5(num_classes=10), image(64)),
    'deeplabv3': (deeplab, image(64)),
    'fcn': (fcn, image(64)),
    'lraspp': (lraspp, image(64)),
    'ssdlite': (Detector, lambda random: random.random((1, 3, 96, 96)).astype(np.float32)),
    'lstm': (lambda: recurrent('LSTM', True), reals(9, 8)),
    'gru': (lambda: recurrent('GRU', False), reals(9, 8)),
    'rnn': (lambda: recurrent('RNN', True), reals(9, 8)),
    'crnn': (speech_recurrent, lambda random: random.normal(size=(SAMPLES, 1, 16, 20)).astype(np.float32)),
    'encoder': (encoder, tokens(12, 40)),
    'decoder': (Decoder, tokens(12, 48)),
    'llama': (Llama, tokens(10, 40)),
    'text_cnn': (text_cnn, tokens(15, 50)),
    'embedding_bag': (embedding_bag, tokens(7, 50)),
    'volume': (volume, lambda random: random.normal(size=(SAMPLES, 1, 8, 12, 12)).astype(np.float32)),
    'unet': (unet, image(32)),
    'generator': (generator, reals(20)),
    'style': (style, image(16)),
    'group_norm': (group_norm, image(16)),
    'pixel_shuffle': (pixel_shuffle, image(12, 1)),
    'activations': (activations, image(6, 8)),
    'squeeze_excite': (squeeze_excite, image(16)),
    'temporal': (temporal, reals(8, 20)),
    'two_inputs': (two_inputs, image(16), reals(6)),
    'yolo': (yolo, image(32)),
    'spatial_transformer': (spatial_transformer, image(16, 1)),
    'descriptor': (embedding_net, image(12)),
    'mlp': (mlp, reals(10)),
    'autoencoder': (autoencoder, image(16, 1)),
    'mixer': (mixer, image(32)),
    'attention_2d': (attention_2d, image(32)),
    'forecaster': (forecaster, reals(24)),
    'keypoints': (keypoints, image(16)),
    'graph_network': (graph_network, reals(7, 6), adjacency(7)),
}
VARIANTS = {  # name: new exporter, opset, batch dynamic
    'old_11': (False, 11, False),
    'old_17_dynamic': (False, 17, True),
    'new_18': (True, 18, False),
    'new_23_dynamic': (True, 23, True),
}


def settle(net, inputs):
    """Norms that have seen the inputs, so that random layers neither vanish nor explode."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
        norm.train()
    with torch.no_grad():
        if norms:
            net(*inputs)
    return net.eval()


def export(path, net, inputs, new, opset, dynamic):
    names = [f'in{i}' for i in range(len(inputs))]
    few = tuple(x[:2] if dynamic else x[:1] for x in inputs)
    options = {'input_names': names, 'opset_version': opset, 'dynamo': new}
    if new and dynamic:
        batch = torch.export.Dim('batch', min=1, max=64)
        options['dynamic_shapes'] = tuple({0: batch} for _ in inputs)
        if isinstance(net, Call):
            options['dynamic_shapes'] = (options['dynamic_shapes'],)
    elif dynamic:
        options['dynamic_axes'] = {name: {0: 'batch'} for name in names}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        torch.onnx.export(net, few, str(path), **(options | ({'external_data': False} if new else {})))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in sys.argv[2:] if not name.startswith('keras_')]
    for name in wanted if len(sys.argv) > 2 else NETS:
        torch.manual_seed(5)
        make, *sources = NETS[name]
        random = np.random.default_rng(11)
        arrays = [source(random) for source in sources]
        np.savez(folder / f'{name}.npz', **{f'in{i}': x for i, x in enumerate(arrays)})
        inputs = tuple(torch.from_numpy(x) for x in arrays)
        net = None
        for variant, (new, opset, dynamic) in VARIANTS.items():
            path = folder / f'{name}.{variant}.onnx'
            if path.exists() or path.with_suffix('.why').exists() or dynamic and len(arrays[0]) == 1:
                continue
            try:
                net = net or settle(make().eval(), inputs)
                export(path, net, inputs, new, opset, dynamic)
            except Exception as problem:
                path.unlink(missing_ok=True)
                text = f'{type(problem).__name__}: {problem}'
                path.with_suffix('.why').write_text(text + '\n')
                print(f'{path.stem}: not exported: {text.splitlines()[0][:200]}', file=sys.stderr, flush=True)


main()
