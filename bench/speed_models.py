# SPDX-License-Identifier: Apache-2.0
"""The networks of the speed table and what is promised of each: octet's time as a share of the best peer's, int8,
whatever the number of threads. Where their samples come from is in models.py; ResNet-18 and ResNet-50 are written by build/bench/make_models."""
import dataclasses

from models import IMAGENET, MODELS, Model, TABLE


@dataclasses.dataclass(frozen=True)
class Contest:
    name: str
    amx: float              # promised on a machine with AMX
    vnni: float             # without
    batches: tuple = (1,)
    amx_8: float = None     # the same for a batch of 8
    vnni_8: float = None
    capped: float = None    # with AMX, everybody limited to VNNI

    @property
    def built(self):
        return self.name in ('resnet18', 'resnet50')

    @property
    def model(self):
        """The row of models.py that knows the samples."""
        if self.built:
            return Model(self.name, 'imagenet', ('--preprocess', 'imagenet'), 1 / 255, *IMAGENET)
        return next(m for m in TABLE if m.name == self.name)

    def path(self, built_folder):
        return (built_folder if self.built else MODELS) / f'{self.name}.onnx'

    def promise(self, amx, batch, capped):
        if capped:
            return self.capped if batch == 1 else None
        return {(True, 1): self.amx, (False, 1): self.vnni, (True, 8): self.amx_8, (False, 8): self.vnni_8}[amx, batch]


CONTESTS = [
    Contest('resnet50', 0.70, 0.93, (1, 8), 0.85, 0.95, 0.93),
    Contest('resnet18', 0.70, 0.90, (1, 8)),
    Contest('mobilenetv2_1.0_224', 0.55, 0.85, (1, 8), 0.85, 0.85, 0.90),
    Contest('resnet20_cifar10_jpegft', 0.70, 0.70),
    Contest('kws_dscnn', 0.50, 0.50),
    Contest('vww_mobilenetv1', 0.75, 0.85),
    Contest('fastestdet_coco', 0.75, 0.85),
    Contest('mobilenetv1_0.75_224', 0.75, 0.85),
    Contest('super_resolution_x3', 0.75, 0.85),
]
