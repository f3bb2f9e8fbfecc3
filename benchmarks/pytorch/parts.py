"""What several models are made of."""
import math
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN = -10000.0  # added to the scores of keys that a query must not see

# fused_norm: layer norm as one call of PyTorch, instead of written out. fused_gelu: likewise. separated: the spatial
# calibrator's affine maps of (query, key) as two dot products, instead of on a [B, h, L, L, 2e] tensor. sparse_rows:
# tables whose gradients name the rows that have one. fused_attention: attention without calibrators by
# scaled_dot_product_attention. short_masks: dropout by masks of 16 random bits a number.
Style = namedtuple("Style", ["fused_norm", "fused_gelu", "separated", "sparse_rows", "fused_attention", "short_masks"],
                   defaults=[False] * 6)


class ShortMasks(nn.Module):
    """Dropout whose generator draws 64 bits for four numbers, instead of as many for each."""

    def __init__(self, probability):
        super().__init__()
        self.probability = probability

    def forward(self, x):
        if self.probability == 0 or not self.training:
            return x
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-2 ** 63, None)
        kept = words.view(torch.int16)[:x.numel()].view(x.shape) >= round(self.probability * 65536) - 32768
        return x * kept.to(x.dtype).mul_(1 / (1 - self.probability))


def dropout(probability, style):
    return ShortMasks(probability) if style.short_masks else nn.Dropout(probability)


class Norm(nn.Module):
    """Layer norm with the biased variance, epsilon inside the root."""

    def __init__(self, settings, style):
        super().__init__()
        width = settings.hidden_size
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.epsilon, self.fused = settings.layer_norm_epsilon, style.fused_norm

    def forward(self, x):
        if self.fused:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.pow(2).mean(-1, keepdim=True)
        return self.weight * (centred / torch.sqrt(variance + self.epsilon)) + self.bias


def activation(name, fused):
    if name == "gelu" and not fused:
        return lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))
    functions = {"gelu": F.gelu, "relu": F.relu, "swish": F.silu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "elu": F.elu}
    return functions[name]


class FeedForward(nn.Module):
    def __init__(self, settings, style):
        super().__init__()
        self.inner = nn.Linear(settings.hidden_size, settings.inner_size)
        self.outer = nn.Linear(settings.inner_size, settings.hidden_size)
        self.norm = Norm(settings, style)
        self.dropout = dropout(settings.hidden_dropout, style)
        self.activation = activation(settings.activation, style.fused_gelu)

    def forward(self, x):
        return self.norm(x + self.dropout(self.outer(self.activation(self.inner(x)))))


class Window:
    """Which keys the queries of a batch see. A query that sees none (padding in front) has scores that are all hidden alike, so that
    its softmax runs over all columns."""

    def __init__(self, sequence, causal, dtype, hidden=HIDDEN):
        width = sequence.size(1)
        real = sequence != 0
        self.visible = real[:, None, None, :]  # [B, 1, 1 or L, L]
        if causal:
            self.visible = self.visible & torch.ones(width, width, dtype=torch.bool).tril()
        self.mask = (~self.visible).to(dtype) * hidden
        self.real_queries = real[:, None, :, None]

    def seen(self):
        """[B, 1, L, L]: the cells over which softmax distributes weight."""
        return self.visible | ~self.visible.any(-1, keepdim=True)

    def real_cells(self):
        return self.visible & self.real_queries
