"""Tangent kernels of nets layer by layer, exact to rounding, without per-sample gradients of large layers.

The kernel of a net is a sum over the modules that own parameters. For a linear layer with inputs A_i and
output cotangents G_ia = d(output a of sample i) / d(outputs of the layer), the gradient of its weight is the
outer product of the two, so that

    K_ia,jb = (A_i . A_j + 1) (G_ia . G_jb)          with + 1 for the bias,

summed over pairs of positions where a layer acts on several positions of a sample (sequences, image
patches, repeated calls). One backward pass per output gives the cotangents of all samples and layers at
once, since rows of a model are independent; what stands between the layers is left to autograd.

``rules`` says what a module's parameters see and ``factors`` contracts it. ``chains`` reads it from a run of layers
that are known to stand one after the other; ``capture`` from a run of any net, held to the gradient of the whole by
``reading``. ``plan`` chooses per layer and bounds memory, ``jacobians`` writes gradients out. Parameters that no rule
answers for, and those whose reading fails the check, are taken from ``torch.func``.

Novak, Sohl-Dickstein, Schoenholz 2022 (arXiv 2206.08720), structured derivatives; Grosse, Martens 2016
(arXiv 1602.01407) for convolutions as linear maps of unfolded patches.
"""

from __future__ import annotations

from qlazy.models.layerwise.chains import Part, chain_of, is_dense
from qlazy.models.layerwise.jacobians import layerwise_jacobian
from qlazy.models.layerwise.plan import is_applicable, layerwise_gram
from qlazy.models.layerwise.rules import RULES, Rule

__all__ = [
    "RULES",
    "Part",
    "Rule",
    "chain_of",
    "is_applicable",
    "is_dense",
    "layerwise_gram",
    "layerwise_jacobian",
]
