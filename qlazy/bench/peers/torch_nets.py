"""A workload's net as a torch module, shared by the tools that take one."""

from __future__ import annotations

import torch
from torch import nn

from qlazy.bench.workloads import NetWorkload


def module(workload: NetWorkload, dtype: str) -> nn.Sequential:
    """The net with parameters in the order of ``workload.shapes``."""
    layers: list[nn.Module] = []
    for out, fan_in, *kernel in workload.shapes[::2]:
        if kernel:
            layers += [nn.Conv2d(fan_in, out, 3, padding=1), nn.ReLU()]
        else:
            layers += [nn.Flatten(), nn.Linear(fan_in, out), nn.Tanh()]
    if workload.size is None:
        layers = [layer for layer in layers if not isinstance(layer, nn.Flatten)]
    return nn.Sequential(*layers[:-1]).to(getattr(torch, dtype))
