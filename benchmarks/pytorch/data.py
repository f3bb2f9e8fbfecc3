"""Training batches from the data sets of srprep (docs/formats.md), in the padded form that PyTorch models take."""
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import h5py
import numpy
import torch


@dataclass
class Batch:
    sequence: torch.Tensor  # [B, L] item numbers, 0 where there is no item; masked models: with mask tokens
    last: torch.Tensor  # [B] column of the latest item; L - 1 of an empty history
    user: Optional[torch.Tensor] = None  # [B]
    target: Optional[torch.Tensor] = None  # [B], or [B, L] with objective all: 0 where nothing is predicted
    negative: Optional[torch.Tensor] = None  # as target
    negatives: Optional[torch.Tensor] = None  # [slices, K]: what each slice of the batch's examples is compared with
    masked_positions: Optional[torch.Tensor] = None  # [B, K]; masked models: columns whose items are predicted
    masked_items: Optional[torch.Tensor] = None  # [B, K]
    masked_weight: Optional[torch.Tensor] = None  # [B, K] 1 where a column counts, 0 where the list is filled up
    noise: Optional[torch.Tensor] = None  # [B, heads, L, L] of an attack, where it is given


class Examples:
    """Every training example of a data set: the history items[begin:end] and, unless items are masked, what comes after it."""

    def __init__(self, directory, settings, rank=0, ranks=1):
        self.settings, self.rank, self.ranks = settings, rank, ranks
        self.random = numpy.random.default_rng(settings.training.seed)
        self.masked = settings.model.backbone == "bert4rec"
        self.every = settings.training.objective == "all"
        self._read(Path(directory))
        self._list()

    def _read(self, directory):
        with h5py.File(directory / "index.h5") as index:
            self.items, self.users = int(index.attrs["items"]), int(index.attrs["users"])
            shards = int(index.attrs["shards"])
        items, lengths, ends = [], [], []
        for shard in range(shards):
            with h5py.File(directory / f"shard-{shard:05d}.h5") as file:
                items.append(file["items"][:])
                lengths.append(numpy.diff(file["offsets"][:]))
                ends.append(file["train_end"][:])
        self.sequences = numpy.concatenate(items).astype(numpy.int64)
        lengths = numpy.concatenate(lengths)
        self.starts = numpy.cumsum(lengths) - lengths  # of the users
        self.train = numpy.concatenate(ends).astype(numpy.int64)  # lengths of their training parts

    def _list(self):
        model, window = self.settings.model, self.settings.data.samples == "window"
        users = numpy.arange(self.users)
        if self.every:
            users = users[self.train >= (1 if self.masked else 2)]
            self.user, self.begin = users, self.starts[users]
            self.end = self.begin + self.train[users] - (0 if self.masked else 1)
            return
        skipped = numpy.maximum(self.train - model.max_length, 0) if window else 0 * self.train
        shortest = 0 if window and not self.masked else 1  # history
        counts = numpy.maximum(self.train - skipped - shortest, 0)
        self.user = numpy.repeat(users, counts)
        number = numpy.arange(len(self.user)) - numpy.repeat(numpy.cumsum(counts) - counts, counts)
        self.begin = (self.starts + skipped)[self.user]
        self.end = self.begin + shortest + number

    def epochs(self):
        """Batches for ever: every example once an epoch, in random order; the last batch of an epoch may be smaller. Of
        each batch a rank takes its part."""
        size = self.settings.training.batch_size
        while True:
            order = self.random.permutation(len(self.user))
            for first in range(0, len(order), size):
                yield self.batch(order[first:first + size][self.rank::self.ranks])

    def batch(self, examples):
        width, left = self.settings.model.max_length, self.settings.model.padding == "left"
        end = self.end[examples]
        length = numpy.minimum(end - self.begin[examples], width)
        columns = numpy.arange(width)
        first = (width - length if left else 0 * length)[:, None]  # column of the oldest item
        places = (end - length)[:, None] + columns - first
        filled = (columns >= first) & (columns < first + length[:, None])
        history = numpy.where(filled, self.sequences[numpy.where(filled, places, 0)], 0)
        last = numpy.where((length == 0) | left, width - 1, length - 1)
        batch = {"last": last, "sequence": history, "user": self.user[examples] + 1}
        if self.masked:
            batch.update(self._mask(history, filled))
        else:
            target = self.sequences[end]
            if self.every:
                target = numpy.where(filled, self.sequences[numpy.where(filled, places + 1, 0)], 0)
            batch["target"] = target
            training = self.settings.training
            if training.lists:
                slices = -(-len(examples) // training.negative_slice)
                batch["negatives"] = self.random.integers(1, self.items + 1, (slices, training.lists))
            elif training.loss != "cross_entropy":
                batch["negative"] = self._negatives(examples, target)
        return Batch(**{name: torch.from_numpy(value) for name, value in batch.items()})

    def _mask(self, history, filled):
        """Masks items, which the model learns to name (Sun et al. 2019); of each example at most K are scored, the latest."""
        model = self.settings.model
        released = model.masking == "released"
        most = max(int(model.mask_ratio * model.max_length), 1)
        draws = self.random.random(history.shape)
        masked = filled & (draws < model.mask_ratio)
        if not released:  # where chance masked none: one, uniformly drawn
            lucky = numpy.where(filled, draws, 2).argmin(1)
            none = ~masked.any(1)
            masked[none, lucky[none]] = True
        later = masked[:, ::-1].cumsum(1)[:, ::-1]  # masked items from here on
        rows, columns = numpy.nonzero(masked & (later <= most))
        slots = most - later[rows, columns]
        positions, items = (numpy.zeros((len(history), most), numpy.int64) for _ in range(2))
        weight = numpy.zeros((len(history), most), numpy.float32)
        positions[rows, slots], items[rows, slots] = columns, history[rows, columns]
        weight[rows, slots] = (columns > 0) | (not released)
        return {"sequence": numpy.where(masked, self.items + 1, history), "masked_positions": positions, "masked_items": items,
                "masked_weight": weight}

    def _negatives(self, examples, target):
        """One uniform item for each target that is neither it nor in the user's history; 0 where there is no target."""
        if not hasattr(self, "pairs"):
            owner = numpy.repeat(numpy.arange(self.users), numpy.diff(numpy.append(self.starts, len(self.sequences))))
            self.pairs, self.first_place = numpy.unique(owner * (self.items + 1) + self.sequences, return_index=True)
        shape = (len(examples),) + (1,) * (target.ndim - 1)
        user, end = self.user[examples].reshape(shape), self.end[examples].reshape(shape)
        user, end = numpy.broadcast_to(user, target.shape), numpy.broadcast_to(end, target.shape)
        negative = self.random.integers(1, self.items + 1, target.shape)
        for _ in range(1000):  # a history may cover nearly the whole catalogue
            pair = user * (self.items + 1) + negative
            found = numpy.minimum(numpy.searchsorted(self.pairs, pair), len(self.pairs) - 1)
            known = (self.pairs[found] == pair) & (self.first_place[found] < end)
            again = (target > 0) & (known | (negative == target))
            if not again.any():
                break
            negative[again] = self.random.integers(1, self.items + 1, int(again.sum()))
        return numpy.where(target > 0, negative, 0)
