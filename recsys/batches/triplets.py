"""Training triplets (user, positive, negative): drawn for a whole epoch at once, on the device, without rejection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.augmentation import Edges
from recsys.batches.unowned import UnownedItems, uniform


@dataclass(frozen=True, eq=False)
class Triplets:
    """A batch: each user prefers the positive over the negative item. Suggested triplets stand at the end.

    Attributes:
        user, positive, negative: int64 [b].
        weight: float32 [b], or None when every triplet counts 1.
        observed: how many of the first triplets come from interactions; the rest are suggested.
    """

    user: Tensor
    positive: Tensor
    negative: Tensor
    weight: Tensor | None
    observed: int

    def __len__(self) -> int:
        return len(self.user)

    def to(self, device: torch.device | str) -> Triplets:
        """The batch on another device."""
        weight = None if self.weight is None else self.weight.to(device)
        user, positive, negative = (part.to(device) for part in (self.user, self.positive, self.negative))
        return Triplets(user, positive, negative, weight, self.observed)

    def among(self, users: Tensor, items: Tensor) -> Triplets:
        """The batch with places among these users and items (int64, ascending) instead of ids."""
        user = torch.searchsorted(users, self.user.contiguous())
        positive, negative = torch.searchsorted(items, torch.stack([self.positive, self.negative]))
        return replace(self, user=user, positive=positive, negative=negative)

    def share(self, rank: int, size: int) -> Triplets:
        """Every `size`-th triplet, of the observed and of the suggested ones, which are dealt out separately.

        A batch with fewer observed triplets than processes is given to each of them whole.
        """
        if size == 1 or self.observed < size:
            return self
        rows = torch.arange(len(self), device=self.user.device)
        rows = torch.cat([part[rank::size] for part in (rows[: self.observed], rows[self.observed :])])
        weight = None if self.weight is None else self.weight[rows]
        observed = len(range(rank, self.observed, size))
        return Triplets(self.user[rows], self.positive[rows], self.negative[rows], weight, observed)


def pairs_with_negatives(edges: np.ndarray, n_users: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs of `edges` (int64 [m, 2]), sorted, and how many each user has (int64 [n_users]).

    Raises:
        DataError: no user has both an interaction and an item without one.
    """
    pairs = np.unique(np.asarray(edges, dtype=np.int64).reshape(-1, 2), axis=0)
    degree = np.bincount(pairs[:, 0], minlength=n_users)
    if not ((degree > 0) & (degree < n_items)).any():
        raise DataError(
            "no user has both a training interaction and an item left to be a negative",
            remedy="check the split and the number of items in dataset.json",
        )
    return pairs, degree


def notes_of_full(users: int) -> list[str]:
    """What a log says of so many users who own every item and so have no negative; nothing of none."""
    return [f"{users} users own every item and are left out of training"] if users else []


class BprSampler:
    """Draws an epoch's batches of observed triplets.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs, unique.
        n_users, n_items: the sizes of the catalogue; negatives come from all items.
        batch_size: triplets per batch.
        generator: on the device where the batches are wanted.
        mode: `interactions` passes over all interactions in a random order, with one negative each; `users` is LLMRec's
            scheme: m // batch_size + 1 batches of distinct users (repeated ones where the batch is larger than their
            number), each with one of its items.

    Attributes:
        skipped_users: users left out because they own every item and so have no negative.

    Raises:
        DataError: no user has both an interaction and an item without one.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        batch_size: int,
        generator: torch.Generator,
        mode: Literal["interactions", "users"] = "interactions",
    ) -> None:
        pairs, degree = pairs_with_negatives(edges, n_users, n_items)
        users = np.flatnonzero((degree > 0) & (degree < n_items))
        usable = pairs[degree[pairs[:, 0]] < n_items]
        self.skipped_users = int((degree == n_items).sum())
        self.batch_size, self.mode = batch_size, mode
        self.generator, self.device = generator, generator.device
        self._unowned = UnownedItems(pairs, n_users, n_items).to(self.device)
        self._users, self._items = self._on_device(users), self._on_device(pairs[:, 1])
        self._pairs = self._on_device(usable)

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(self.device)

    def __len__(self) -> int:
        """Batches per epoch."""
        observed = len(self._pairs)
        return observed // self.batch_size + 1 if self.mode == "users" else -(-observed // self.batch_size)

    def epoch(self) -> Iterator[Triplets]:
        """The batches of one epoch; every call draws anew."""
        user, positive = self._user_scheme() if self.mode == "users" else self._interaction_scheme()
        negative = self.negatives(user)
        for begin in range(0, len(user), self.batch_size):
            part = slice(begin, begin + self.batch_size)
            yield Triplets(user[part], positive[part], negative[part], None, len(user[part]))

    def negatives(self, user: Tensor) -> Tensor:
        """One item per row of `user` (int64 [b]), uniform over the items that user has not in training."""
        return self._unowned.draw(user, self.generator)

    def _interaction_scheme(self) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(self._pairs), generator=self.generator, device=self.device)
        user, positive = self._pairs[order].unbind(1)
        return user, positive

    def _user_scheme(self) -> tuple[Tensor, Tensor]:
        population = len(self._users)
        if self.batch_size > population:
            count = torch.full((len(self) * self.batch_size,), population, device=self.device)
            chosen = uniform(count, self.generator)
        else:
            shuffles = (
                torch.randperm(population, generator=self.generator, device=self.device)[: self.batch_size]
                for _ in range(len(self))
            )
            chosen = torch.cat(list(shuffles))
        user = self._users[chosen]
        place = uniform(self._unowned.degree[user], self.generator)
        return user, self._items[self._unowned.start[user] + place]


class EdgeMixer:
    """Adds suggested triplets to a batch, for any pairwise model.

    Of a batch of B triplets, int(rate * B) are sampled without replacement, and each sampled row's user contributes one
    of its suggested triplets, as in LLMRec's code. Users without one, or with an item id beyond the catalogue, add
    nothing, so their share of suggestions is not handed to other users.

    Args:
        edges: the suggestions; several per user are drawn from uniformly.
        rate: between 0 and 1.
        generator: on the device of the batches; not the sampler's, so that observed triplets are the same with and
            without suggestions.

    Attributes:
        suggested: how many suggestions there are.
        ignored: those of them with a user or item id beyond the catalogue.
    """

    def __init__(self, edges: Edges, n_users: int, n_items: int, *, rate: float, generator: torch.Generator) -> None:
        inside = (edges.user < n_users) & (np.maximum(edges.positive, edges.negative) < n_items)
        self.suggested, self.ignored = len(edges), int((~inside).sum())
        self.rate, self.generator = rate, generator
        order = np.flatnonzero(inside)
        order = order[np.argsort(edges.user[order], kind="stable")]
        count = np.bincount(edges.user[order], minlength=n_users)

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(generator.device)

        self._count, self._start = tensor(count), tensor(np.cumsum(count) - count)
        self._positive, self._negative = tensor(edges.positive[order]), tensor(edges.negative[order])
        self._weight = None if (edges.weight[order] == 1).all() else tensor(edges.weight[order])
        self._several = bool((count > 1).any())
        self._everyone = bool((count > 0).all())

    def joined(self, batches: Iterable[Triplets], count: int) -> Iterator[Triplets]:
        """See `Suggestions.joined`."""
        return map(self.mix, batches)

    def mix(self, batch: Triplets) -> Triplets:
        """`batch` followed by its users' suggested triplets."""
        device = self.generator.device
        rows = torch.randperm(len(batch), generator=self.generator, device=device)[: int(self.rate * len(batch))]
        user = batch.user[rows]
        if not self._everyone:
            user = user[self._count[user] > 0]
        edge = self._start[user]
        if self._several:
            share = torch.rand(edge.shape, generator=self.generator, device=device, dtype=torch.float64)
            edge = edge + torch.minimum((share * self._count[user]).long(), self._count[user] - 1)
        weight = batch.weight
        if self._weight is not None:
            observed = torch.ones(len(batch), device=device) if weight is None else weight
            weight = torch.cat([observed, self._weight[edge]])
        return Triplets(
            torch.cat([batch.user, user]),
            torch.cat([batch.positive, self._positive[edge]]),
            torch.cat([batch.negative, self._negative[edge]]),
            weight,
            batch.observed,
        )


class Suggestions(Protocol):
    """Suggested triplets on their way into batches."""

    @property
    def suggested(self) -> int:
        """How many there are."""
        ...

    @property
    def ignored(self) -> int:
        """Those of them that name an unknown user or item."""
        ...

    def joined(self, batches: Iterable[Triplets], count: int) -> Iterator[Triplets]:
        """The batches of an epoch, `count` of them, each followed by its suggested triplets."""
        ...


class TripletBatches:
    """The batches of a pairwise model: observed triplets, joined by suggested ones where there are any.

    Args:
        sampler: draws the observed ones.
        mixer: adds the suggested ones.
    """

    def __init__(self, sampler: BprSampler, mixer: Suggestions | None = None) -> None:
        self.sampler, self.mixer = sampler, mixer
        self.notes = notes_of_full(sampler.skipped_users)
        if mixer is not None:
            ignored = f"{mixer.ignored} of them ignored (unknown user or item)"
            self.notes.append(f"{mixer.suggested} suggested triplets, {ignored}")

    def epoch(self) -> Iterator[Triplets]:
        """See `Batches.epoch`."""
        batches = self.sampler.epoch()
        yield from batches if self.mixer is None else self.mixer.joined(batches, len(self.sampler))
