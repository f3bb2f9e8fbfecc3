"""Layers of attention and the stages of its calibrators."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from parts import FeedForward, Norm, dropout


class Distance(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 1)
        self.scale = nn.Parameter(torch.ones(1))


class Frequency(nn.Module):
    """BSARec's branch beside attention: low frequencies of x along the positions as they are, high ones scaled."""

    def __init__(self, settings, calibrator, style):
        super().__init__()
        self.sqrt_beta = nn.Parameter(torch.ones(settings.hidden_size))
        self.norm = Norm(settings, style)
        self.dropout = dropout(settings.hidden_dropout, style)
        self.bins = calibrator.cutoff // 2 + 1

    def forward(self, x):
        spectrum = torch.fft.rfft(x, dim=1, norm="ortho")
        spectrum = torch.cat([spectrum[:, :self.bins], torch.zeros_like(spectrum[:, self.bins:])], 1)
        low = torch.fft.irfft(spectrum, n=x.size(1), dim=1, norm="ortho")
        return self.norm(x + self.dropout(low + self.sqrt_beta ** 2 * (x - low)))


class Attention(nn.Module):
    def __init__(self, settings, calibrators, style):
        super().__init__()
        d = settings.hidden_size
        self.heads, self.width = settings.heads, d // settings.heads
        self.separated, self.attention_dropout = style.separated, settings.attention_dropout
        self.query, self.key, self.value, self.output = (nn.Linear(d, d) for _ in range(4))
        self.norm = Norm(settings, style)
        self.hidden_dropout = dropout(settings.hidden_dropout, style)
        self.weight_dropout = dropout(settings.attention_dropout, style)
        self.order = nn.Linear(2 * self.width, 1) if calibrators.spatial and calibrators.spatial.order else None
        self.distance = Distance(2 * self.width) if calibrators.spatial and calibrators.spatial.distance else None
        if calibrators.adversarial:
            self.attack_query, self.attack_key = nn.Linear(d, d), nn.Linear(d, d)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.width).transpose(1, 2)

    def softmax(self, scores, window):
        return self.weight_dropout(torch.softmax(scores / math.sqrt(self.width) + window.mask, -1))

    def attend(self, x, weights, v):
        return self.close(x, weights @ v)

    def close(self, x, context):
        return self.norm(x + self.hidden_dropout(self.output(context.transpose(1, 2).flatten(2))))

    def fused(self, x, q, k, v, window):
        """Softmax, dropout and context in one call of PyTorch."""
        probability = self.attention_dropout if self.training else 0.0
        return self.close(x, F.scaled_dot_product_attention(q, k, v, attn_mask=window.mask.to(q.dtype), dropout_p=probability))

    def _affine(self, linear, q, k, pairs):
        if not self.separated:
            return linear(pairs).squeeze(-1)
        of_query, of_key = linear.weight[0].split(self.width)
        return (q @ of_query).unsqueeze(-1) + (k @ of_key).unsqueeze(-2) + linear.bias

    def spatial_terms(self, q, k):
        """What order and distance of the columns say about each pair of query and key (Zhou et al. 2023)."""
        terms, length, pairs = 0.0, q.size(2), None
        columns = torch.arange(length)
        if not self.separated and (self.order or self.distance):
            shape = (-1, -1, length, length, -1)
            pairs = torch.cat([q.unsqueeze(3).expand(shape), k.unsqueeze(2).expand(shape)], -1)
        if self.order is not None:
            sign = (columns[None, :] > columns[:, None]).to(q.dtype) * 2 - 1
            terms = terms + F.logsigmoid(self._affine(self.order, q, k, pairs) * sign)
        if self.distance is not None:
            apart = torch.log((columns[None, :] - columns[:, None]).abs().to(q.dtype) + 1)
            terms = terms - 0.5 * self.distance.scale ** 2 * (apart - self._affine(self.distance, q, k, pairs)) ** 2
        return terms


class Layer(nn.Module):
    """Attention with the stages of its calibrators, then feed-forward."""

    def __init__(self, settings, calibrators, columns, style, is_last):
        super().__init__()
        self.calibrators, self.is_last = calibrators, is_last
        self.is_fused = style.fused_attention and not calibrators.spatial and not calibrators.adversarial
        self.attention = Attention(settings, calibrators, style)
        self.ffn = FeedForward(settings, style)
        self.frequency = Frequency(settings, calibrators.frequency, style) if calibrators.frequency else None
        adversarial = calibrators.adversarial
        if adversarial and adversarial.combine == "gate":
            self.gate = nn.Linear(settings.hidden_size, columns)
        if adversarial and not adversarial.two_level and adversarial.rich_combine == "trainable":
            self.mix_ratio = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x, window, step, noise):
        """States; states under attack (last layer only) and the norm of 1 - M, or None without an adversarial calibrator."""
        attention = self.attention
        query, key = attention.query(x), attention.key(x)
        q, k, v = attention.split(query), attention.split(key), attention.split(attention.value(x))
        branch = self.frequency(x) if self.frequency is not None else None
        if self.is_fused:
            return self._close(attention.fused(x, q, k, v, window), branch), None, None
        scores = q @ k.transpose(2, 3)
        spatial = attention.softmax(scores + attention.spatial_terms(q, k), window) if self.calibrators.spatial else None
        plain = spatial
        if spatial is None or (self.calibrators.adversarial and not self.calibrators.adversarial.two_level):
            plain = attention.softmax(scores, window)
        if not self.calibrators.adversarial:
            return self._finish(x, plain, v, branch), None, None
        if spatial is None:
            spatial = plain
        weights, attacked, penalty = self._calibrate(query, key, plain, spatial, window, step, noise)
        states = self._finish(x, weights, v, branch)
        return states, self._finish(x, attacked, v, branch) if self.is_last else None, penalty

    def _finish(self, x, weights, v, branch):
        return self._close(self.attention.attend(x, weights, v), branch)

    def _close(self, y, branch):
        if branch is not None:
            alpha = self.calibrators.frequency.alpha
            y = alpha * branch + (1 - alpha) * y
        return self.ffn(y)

    def _renormalise(self, weights, window, signed=False):
        kind = self.calibrators.adversarial.renormalize
        if kind == "softmax":
            return torch.softmax(weights + window.mask, -1)
        if kind == "mass" and not signed:
            mass = (weights * window.seen()).sum(-1, keepdim=True)
            return weights / torch.where(mass == 0, torch.ones_like(mass), mass)  # dropout may take every weight of a row
        return weights

    def _combine(self, query, base, calibrated, window, step):
        settings = self.calibrators.adversarial
        if settings.combine == "fixed":
            return torch.softmax(base + 0.5 * calibrated + (window.mask if settings.masked_cells == "excluded" else 0), -1)
        if settings.combine == "annealing":
            share = math.exp(-step / settings.annealing_steps)
        else:
            share = torch.sigmoid(self.gate(query)).unsqueeze(1)[..., :base.size(-1)]
        return share * base + (1 - share) * calibrated

    def _calibrate(self, query, key, base, spatial, window, step, noise):
        """AC-TSR's adversarial calibrator: the calibrated weights, those under attack, and the norm of 1 - M."""
        settings, attention = self.calibrators.adversarial, self.attention
        q, k = attention.split(attention.attack_query(query)), attention.split(attention.attack_key(key))
        mask = attention.softmax(q @ k.transpose(2, 3), window)
        attacked = None
        if self.is_last:
            noise = torch.randn_like(mask) if noise is None else noise
            if settings.masked_cells == "excluded":
                noise = noise * window.seen()
            attacked = self._renormalise(base * mask + noise * (1 - mask), window, signed=True)
        calibrated = self._renormalise(base * torch.exp(1 - mask), window)
        weights = self._renormalise(self._combine(query, base, calibrated, window, step), window)
        if not settings.two_level:
            ratio = self.mix_ratio if settings.rich_combine == "trainable" else 0.5
            weights = ratio * weights + (1 - ratio) * spatial
        counted = 1 - mask if settings.penalty == "all" else (1 - mask) * window.real_cells()
        return weights, attacked, torch.linalg.vector_norm(counted)
