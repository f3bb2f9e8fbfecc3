"""The models of docs/models.md in plain PyTorch: padded windows [B, L], dense masks, one module a part.

What the published code bases compute, as they compute it: every column of every layer, padding included. Left out is only what
they compute and nobody reads (attacked branches below the last layer, the mean stream of STOSA where it is frozen). Parameters
have the names of docs/models.md, so that a checkpoint of srtrain fits.
"""
import math
from dataclasses import dataclass, field
from typing import Optional

import torch
import torch.nn.functional as F
from torch import nn

from attention import Layer
from parts import FeedForward, Norm, Window, dropout


@dataclass
class Encoding:
    states: torch.Tensor  # [B, L, d], or [B, d] from models that have one state a window
    attacked: Optional[torch.Tensor] = None  # [B, L, d]: states under attack, adversarial calibrator only
    penalties: list = field(default_factory=list)  # norms of 1 - M, a layer each
    covariances: Optional[torch.Tensor] = None  # [B, L, d], STOSA only


class Model(nn.Module):
    """A table of items, an encoder, and a loss that scores states by inner products with the table."""

    table_rows = 1  # besides the items: padding

    def __init__(self, settings, items, users, style):
        super().__init__()
        self.settings, self.items, self.style = settings, items, style
        model = settings.model
        self.declare(model, users)
        self.initialise(model)

    def declare(self, model, users):
        raise NotImplementedError

    def table(self, width):
        return nn.Embedding(self.items + self.table_rows, width, padding_idx=0, sparse=self.style.sparse_rows)

    def row_parameters(self):
        """Tables whose gradients are sparse."""
        return [module.weight for module in self.modules() if isinstance(module, nn.Embedding) and module.sparse]

    def initialise(self, model):
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, model.initializer_mean, model.initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def attack_parameters(self):
        return [parameter for name, parameter in self.named_parameters() if ".attack_" in name]

    def other_parameters(self):
        return [parameter for name, parameter in self.named_parameters() if ".attack_" not in name]

    def documented_parameters(self):
        """Parameters by the names of docs/models.md; where PyTorch has another shape, the numbers are in the same order."""
        return dict(self.named_parameters())

    # losses

    def losses(self, batch, encoding):
        """The loss to minimise, and the one that mask generators follow or None."""
        loss = self.ranking_loss(encoding.states, batch)
        if encoding.attacked is None:
            return loss, None
        penalty = torch.stack(encoding.penalties).mean()
        weight = self.settings.calibrators.adversarial.penalty_weight
        return loss, weight * penalty - self.ranking_loss(encoding.attacked, batch)

    def ranking_loss(self, states, batch):
        if batch.negatives is not None:
            return self.sampled_loss(states, batch)
        classes = self.unit(self.item_embedding.weight[:self.items + 1])
        if batch.masked_positions is not None:
            rows = states.gather(1, batch.masked_positions.unsqueeze(-1).expand(-1, -1, states.size(-1)))
            losses = F.cross_entropy((rows @ classes.T).flatten(0, 1), batch.masked_items.flatten(), reduction="none")
            weight = batch.masked_weight.flatten()
            return (losses * weight).sum() / weight.sum()
        if batch.target.dim() == 1 and states.dim() == 3:
            states = states[torch.arange(len(states)), batch.last]
        real = batch.target != 0
        if self.settings.training.loss == "cross_entropy":
            return F.cross_entropy(self.unit(states[real]) @ classes.T / self.settings.training.temperature, batch.target[real])
        positive = (states * self.item_embedding(batch.target)).sum(-1)
        negative = (states * self.item_embedding(batch.negative)).sum(-1)
        if self.settings.training.loss == "bpr":
            losses = F.softplus(negative - positive)
        else:
            losses = F.softplus(-positive) + F.softplus(negative)
        return (losses * real).sum() / real.sum()


    def unit(self, vectors):
        """What scores are products of."""
        if self.settings.model.similarity == "dot":
            return vectors
        return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp(min=1e-8)

    def sampled_loss(self, states, batch):
        """The mean over targets; the examples of a slice have one list of negatives, and one product with it."""
        training = self.settings.training
        if batch.target.dim() == 1 and states.dim() == 3:
            states = states[torch.arange(len(states)), batch.last]
        losses, count = 0, 0
        for number, items in enumerate(batch.negatives):
            examples = slice(number * training.negative_slice, (number + 1) * training.negative_slice)
            real = batch.target[examples] != 0
            targets, x = batch.target[examples][real], self.unit(states[examples][real])
            positive = (x * self.unit(self.item_embedding(targets))).sum(-1) / training.temperature
            negative = x @ self.unit(self.item_embedding(items)).T / training.temperature
            absent = (items == targets.unsqueeze(-1)) if training.masks_hits else torch.zeros_like(negative, dtype=torch.bool)
            losses, count = losses + self.list_losses(positive, negative, absent).sum(), count + len(targets)
        return losses / count

    def list_losses(self, positive, negative, absent):
        """[n] from scores [n] of targets and [n, K] of negatives, of which some do not exist for their target."""
        training, k = self.settings.training, negative.size(-1)
        if training.loss == "sampled_softmax":
            if training.log_q == "refined":  # uniform among all items but the target
                left = (~absent).sum(-1, keepdim=True)
                negative = negative + math.log(self.items - (1 if training.masks_hits else 0)) - torch.log(left)
            return F.softplus(torch.logsumexp(negative.masked_fill(absent, -math.inf), -1) - positive)
        if training.loss == "bpr":
            return F.softplus(negative - positive.unsqueeze(-1)).masked_fill(absent, 0).sum(-1) / k
        others = F.softplus(negative).masked_fill(absent, 0).sum(-1)
        if training.loss == "gbce":
            beta = 1 - training.calibration * (1 - k / (self.items - 1))
            return (beta * F.softplus(-positive) + others) / (k + 1)
        return 2 / (k + 1) * (F.softplus(-positive) + others)


class Transformer(Model):
    """SASRec, with a frequency rescaler BSARec, with AC-TSR's calibrators AC-SASRec; BERT4Rec below."""

    causal = True
    extra_columns = 0

    def declare(self, model, users):
        calibrators = self.settings.calibrators
        columns = model.max_length + self.extra_columns
        self.item_embedding = self.table(model.hidden_size)
        self.position_embedding = nn.Embedding(columns, model.hidden_size) if model.positions == "learned" else None
        self.input_norm = Norm(model, self.style)
        self.dropout = dropout(model.hidden_dropout, self.style)
        self.layers = nn.ModuleList(
            Layer(model, calibrators, columns, self.style, n == model.layers - 1) for n in range(model.layers))

    def initialise(self, model):
        super().initialise(model)
        beta, scale = torch.randn(model.hidden_size), torch.randn(1)  # one draw for all layers
        for layer in self.layers:
            if layer.frequency is not None:
                layer.frequency.sqrt_beta.data.copy_(beta)
            if layer.attention.distance is not None and self.settings.calibrators.spatial.distance_scale == "normal":
                layer.attention.distance.scale.data.copy_(scale)

    def forward(self, batch, step=0):
        x = self.item_embedding(batch.sequence)
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[:batch.sequence.size(1)]
        x = self.dropout(self.input_norm(x))
        window = Window(batch.sequence, self.causal, x.dtype)
        penalties = []
        for layer in self.layers:
            x, attacked, penalty = layer(x, window, step, batch.noise)
            penalties.append(penalty)
        return Encoding(x, attacked, penalties)


class Bert4Rec(Transformer):
    causal = False
    extra_columns = 1  # the mask token behind a full history, in evaluation
    table_rows = 2  # padding and the mask token


class Stosa(Model):
    """Items are Gaussians: a table of means and one of covariances; distances in the place of inner products."""

    def declare(self, model, users):
        d = model.hidden_size
        self.item_mean_embedding, self.item_covariance_embedding = self.table(d), self.table(d)
        self.position_mean_embedding, self.position_covariance_embedding = (
            nn.Embedding(model.max_length, d) if model.positions == "learned" else None for _ in range(2))
        self.input_norm = Norm(model, self.style)
        self.dropout = dropout(model.hidden_dropout, self.style)
        self.layers = nn.ModuleList(StosaLayer(model, self.style) for _ in range(model.layers))

    def _input(self, items, positions, sequence):
        x = items(sequence)
        if positions is not None:
            x = x + positions.weight
        return self.dropout(self.input_norm(x))

    def forward(self, batch, step=0):
        mean = F.elu(self._input(self.item_mean_embedding, self.position_mean_embedding, batch.sequence))
        covariance = positive(self._input(self.item_covariance_embedding, self.position_covariance_embedding, batch.sequence))
        window = Window(batch.sequence, True, mean.dtype, hidden=-2.0 ** 32 + 1)
        for layer in self.layers:
            mean, covariance = layer(mean, covariance, window)
        return Encoding(mean, covariances=covariance)

    def losses(self, batch, encoding):
        states, covariances = encoding.states, encoding.covariances
        if batch.target.dim() == 1:
            rows = torch.arange(len(states))
            states, covariances = states[rows, batch.last], covariances[rows, batch.last]
        target, target_covariance = self._items(batch.target)
        negative, negative_covariance = self._items(batch.negative)
        to_target = wasserstein(states, covariances, target, target_covariance)
        to_negative = wasserstein(states, covariances, negative, negative_covariance)
        apart = wasserstein(target, target_covariance, negative, negative_covariance)
        losses = F.softplus(to_target - to_negative) + self.settings.training.pvn_weight * F.relu(to_target - apart)
        real = batch.target != 0
        return (losses * real).sum() / real.sum(), None

    def _items(self, items):
        return self.item_mean_embedding(items), positive(self.item_covariance_embedding(items))


def positive(x):
    return F.elu(x) + 1


def root(x):
    return torch.sqrt(x.clamp(min=1e-24))


def wasserstein(mean, covariance, other_mean, other_covariance):
    """Squared 2-Wasserstein distances of Gaussians with diagonal covariances, row by row."""
    return ((mean - other_mean) ** 2).sum(-1) + ((root(covariance) - root(other_covariance)) ** 2).sum(-1)


def squared_distances(a, b):
    """[..., L, L] of all rows of a to all rows of b."""
    return (a ** 2).sum(-1, keepdim=True) + (b ** 2).sum(-1).unsqueeze(-2) - 2 * (a @ b.transpose(-1, -2))


class StosaAttention(nn.Module):
    def __init__(self, settings, style):
        super().__init__()
        d = settings.hidden_size
        self.heads, self.width, self.frozen = settings.heads, d // settings.heads, settings.mean_update == "frozen"
        for stream in ("mean", "covariance"):
            for part in ("query", "key", "value", "output"):
                setattr(self, f"{stream}_{part}", nn.Linear(d, d))
        self.norm = Norm(settings, style)
        self.hidden_dropout = dropout(settings.hidden_dropout, style)
        self.weight_dropout = dropout(settings.attention_dropout, style)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.width).transpose(1, 2)

    def close(self, x, weights, values, output):
        return self.norm(x + self.hidden_dropout(output((weights @ self.split(values)).transpose(1, 2).flatten(2))))

    def forward(self, mean, covariance, window):
        apart = squared_distances(self.split(self.mean_query(mean)), self.split(self.mean_key(mean)))
        roots = [self.split(root(positive(part(covariance)))) for part in (self.covariance_query, self.covariance_key)]
        scores = -(apart + squared_distances(*roots)) / math.sqrt(self.width)
        weights = self.weight_dropout(torch.softmax(scores + window.mask, -1))
        y_mean = None if self.frozen else self.close(mean, weights, self.mean_value(mean), self.mean_output)
        return y_mean, self.close(covariance, weights ** 2, positive(self.covariance_value(covariance)), self.covariance_output)


class StosaLayer(nn.Module):
    def __init__(self, settings, style):
        super().__init__()
        self.attention = StosaAttention(settings, style)
        self.mean_ffn, self.covariance_ffn = FeedForward(settings, style), FeedForward(settings, style)

    def forward(self, mean, covariance, window):
        y_mean, y_covariance = self.attention(mean, covariance, window)
        return mean if y_mean is None else self.mean_ffn(y_mean), positive(self.covariance_ffn(y_covariance))


class FilterLayer(nn.Module):
    """FMLP-Rec: a learned filter along all columns in the place of attention."""

    class Filter(nn.Module):
        def __init__(self, settings, style):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(settings.max_length // 2 + 1, settings.hidden_size, 2))
            self.norm = Norm(settings, style)
            self.dropout = dropout(settings.hidden_dropout, style)

        def forward(self, x):
            spectrum = torch.fft.rfft(x, dim=1, norm="ortho") * torch.view_as_complex(self.weight)
            return self.norm(x + self.dropout(torch.fft.irfft(spectrum, n=x.size(1), dim=1, norm="ortho")))

    def __init__(self, settings, style):
        super().__init__()
        self.filter, self.ffn = self.Filter(settings, style), FeedForward(settings, style)

    def forward(self, x):
        return self.ffn(self.filter(x))


class FmlpRec(Model):
    def declare(self, model, users):
        self.item_embedding = self.table(model.hidden_size)
        self.position_embedding = nn.Embedding(model.max_length, model.hidden_size) if model.positions == "learned" else None
        self.input_norm = Norm(model, self.style)
        self.dropout = dropout(model.hidden_dropout, self.style)
        self.layers = nn.ModuleList(FilterLayer(model, self.style) for _ in range(model.layers))

    def initialise(self, model):
        super().initialise(model)
        weight = torch.randn_like(self.layers[0].filter.weight) * model.initializer_range
        for layer in self.layers:
            layer.filter.weight.data.copy_(weight)

    def forward(self, batch, step=0):
        x = self.item_embedding(batch.sequence)
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight
        x = self.dropout(self.input_norm(x))
        for layer in self.layers:
            x = layer(x)
        return Encoding(x)


class Gru4Rec(Model):
    def declare(self, model, users):
        self.item_embedding = self.table(model.hidden_size)
        self.dropout = dropout(model.hidden_dropout, self.style)
        self.gru = nn.GRU(model.hidden_size, model.gru_hidden_size, model.layers, bias=False, batch_first=True)
        self.dense = nn.Linear(model.gru_hidden_size, model.hidden_size)
        nn.init.xavier_uniform_(self.gru.weight_ih_l0)
        nn.init.xavier_uniform_(self.gru.weight_hh_l0)

    def documented_parameters(self):
        names = {"gru.weight_ih_l": "layers.{}.gru.input.weight", "gru.weight_hh_l": "layers.{}.gru.hidden.weight"}
        result = {}
        for name, parameter in self.named_parameters():
            stem = name.rstrip("0123456789")
            result[names[stem].format(name[len(stem):]) if stem in names else name] = parameter
        return result

    def forward(self, batch, step=0):
        output, _ = self.gru(self.dropout(self.item_embedding(batch.sequence)))
        return Encoding(self.dense(output))


class Caser(Model):
    def declare(self, model, users):
        d, columns = model.hidden_size, model.max_length
        self.item_embedding, self.user_embedding = self.table(d), nn.Embedding(users + 1, d)
        self.vertical = nn.Conv2d(1, model.vertical_filters, (columns, 1))
        self.horizontal = nn.ModuleDict(
            {str(height): nn.Conv2d(1, model.horizontal_filters, (height, d)) for height in range(1, columns + 1)})
        self.sequence_dense = nn.Linear(model.vertical_filters * d + model.horizontal_filters * columns, d)
        self.output_dense = nn.Linear(2 * d, d)
        self.dropout = dropout(model.hidden_dropout, self.style)

    def forward(self, batch, step=0):
        x = self.item_embedding(batch.sequence).unsqueeze(1)
        parts = [self.vertical(x).flatten(1)]
        for convolution in self.horizontal.values():
            parts.append(F.relu(convolution(x).squeeze(3)).amax(2))
        z = F.relu(self.sequence_dense(self.dropout(torch.cat(parts, 1))))
        return Encoding(F.relu(self.output_dense(torch.cat([z, self.user_embedding(batch.user)], 1))))

    def losses(self, batch, encoding):
        penalty = sum(torch.linalg.vector_norm(p) for name, p in self.named_parameters() if name.endswith("weight"))
        return self.ranking_loss(encoding.states, batch) + self.settings.training.frobenius_penalty * penalty, None


BACKBONES = {"sasrec": Transformer, "bert4rec": Bert4Rec, "stosa": Stosa, "fmlprec": FmlpRec, "gru4rec": Gru4Rec, "caser": Caser}


def make(settings, items, users, style):
    return BACKBONES[settings.model.backbone](settings, items, users, style)


def backward(model, loss, attacked, pruned):
    """Gradients of `loss`; mask generators follow `attacked` instead, at the same parameters (Zhou et al. 2023).

    As published both passes go through the whole graph and only keep what they are for; `pruned` lets autograd leave out the
    rest."""
    if attacked is None:
        loss.backward()
        return
    others, generators = model.other_parameters(), model.attack_parameters()
    if pruned:
        torch.autograd.backward(loss, inputs=others, retain_graph=True)
        torch.autograd.backward(attacked, inputs=generators)
        return
    for mine, rest, root_loss in ((others, generators, loss), (generators, others, attacked)):
        for parameter in rest:
            parameter.requires_grad_(False)
        root_loss.backward(retain_graph=root_loss is loss)
        for parameter in rest:
            parameter.requires_grad_(True)
