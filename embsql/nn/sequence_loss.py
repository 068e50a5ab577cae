"""The losses of sequence models, and a softmax that keeps no logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, relu, softplus

from embsql.nn.histories import EventHistories
from embsql.nn.layers import Dropout
from embsql.nn.sequence_model import SequenceModel
from embsql.nn.sequence_tasks import SequenceBatch
from embsql.nn.tensors import true_indices

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Sequential

CHUNK_LOGITS = 1 << 19  # logits at a time: what a core's cache holds
ABSENT = -1  # column of an item that is not among the negatives


@dataclass(frozen=True, slots=True)
class SequenceLoss:
    """The loss of a batch."""

    model: SequenceModel
    events: EventHistories
    options: Sequential
    n_negatives: int  # of a batch; all items where there are no more
    generator: torch.Generator

    def __call__(self, batch: SequenceBatch) -> Tensor:
        """What is predicted, and the regularization of the items' vectors: ()"""
        loss = self._prediction_loss(batch)
        reg = self.options.reg / len(self.events.item)
        if not reg:
            return loss
        squared_norm = self.model.items.square().sum()
        return loss + reg * squared_norm

    def _prediction_loss(self, batch: SequenceBatch) -> Tensor:
        """The mean over what is predicted, each by its weight: ()"""
        device = self.model.table.device
        features = self.events.time_features[batch.packed.event]  # (t, c)
        state = self.model(
            batch.inputs, features, batch.packed, batch.state_at
        )  # (s, d)
        weight = self.events.weight[batch.target].to(device)  # (p,)
        target = self.events.item[batch.target]  # (p,)
        if batch.state_of is not None:
            state_of = batch.state_of.to(device)  # (p,)
            if self.options.loss != "gbce":
                state = self._scaled(state)
                return self._shared_states(state, state_of, target, weight) / len(
                    target
                )
            state = state[state_of]  # (p, d)
        age = self.events.age[batch.target].to(device)  # (p,)
        of_age = age[:, None] * self.model.age_embedding  # (p, d)
        state = self._scaled(state + of_age)
        loss_of = {
            "softmax": self._softmax,
            "gbce": self._gbce,
            "contrastive": self._contrastive,
        }[self.options.loss]
        return loss_of(state, target, weight) / len(state)

    def _scaled(self, state: Tensor) -> Tensor:
        """States (n, d) without some of their components, over the temperature."""
        dropout = Dropout(self.options.user_embedding_dropout, self.generator)
        kept = dropout(self.model.normalized(state))  # (n, d)
        return kept / (self.model.temperature or 1.0)

    def _softmax(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy over all items, or over some, each of which stands for several."""
        negatives = self._sample()  # (n,)
        column_of = torch.full((self.model.n_items,), ABSENT)  # (i,)
        column_of[negatives] = torch.arange(len(negatives))
        column = column_of[target].to(state.device)  # (p,)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        return chunked_cross_entropy(
            state, target_vectors, vectors, column, self._log_correction, weight
        )

    def _shared_states(
        self, state: Tensor, state_of: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        """Where a state (b, d) predicts several items: its scores of negatives are made once.

        Contrastive (Mao et al., 2021, "SimpleX"): the cosine with the target towards 1, with
        negatives below the margin. Softmax: as `_softmax`, where the target may be a negative.
        """
        negatives = self._sample()  # (n,)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        positive = (state[state_of] * target_vectors).sum(1)  # (p,)
        scores = state @ vectors.T  # (b, n)
        if self.options.loss == "contrastive":
            above_margin = relu(scores - self.options.margin).mean(1)  # (b,)
            negative_loss = (
                self.options.negative_weight * above_margin[state_of]
            )  # (p,)
            return (relu(1 - positive) + negative_loss) @ weight
        all_others = scores.logsumexp(1) + self._log_correction  # (b,)
        loss = all_others[state_of] - positive  # (p,)
        if self.n_negatives < self.model.n_items:
            loss = softplus(loss)
        return loss @ weight

    def _contrastive(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        one_each = torch.arange(len(state), device=state.device)
        return self._shared_states(state, one_each, target, weight)

    def _gbce(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Generalized binary cross-entropy (Petrov and Macdonald, 2023, "gSASRec").

        The target is a positive, each negative is judged for itself, and a power of the positive's
        probability makes up for negatives that were not sampled.
        """
        negatives = self._sample()  # (n,)
        rate = self.n_negatives / self.model.n_items
        t = self.options.gbce_t
        power = rate * (t * (1 - 1 / rate) + 1 / rate)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        is_target = target[:, None] == negatives  # (p, n)
        scores = state @ vectors.T  # (p, n)
        negative_loss = softplus(scores).masked_fill(
            is_target.to(state.device), 0
        )  # (p, n)
        positive = (state * target_vectors).sum(1)  # (p,)
        loss = power * softplus(-positive) + negative_loss.sum(1)  # (p,)
        return loss @ weight

    def _item_vectors(self, target: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of what is predicted, (p, d), and of the negatives, (n, d)."""
        items = torch.cat([target, negatives])  # (p + n,)
        items = items.to(self.model.table.device)
        vectors = embedding(items, self.model.table)  # (p + n, d)
        vectors = self.model.normalized(vectors)
        p = len(target)
        return vectors[:p], vectors[p:]

    @property
    def _log_correction(self) -> float:
        """What raises the negatives' scores, for items that were not sampled (logQ)."""
        items_per_negative = self.model.n_items / self.n_negatives
        return self.options.sampling_correction * math.log(items_per_negative)

    def _sample(self) -> Tensor:
        """Negatives, each item as likely, none twice: (n,)."""
        n_items = self.model.n_items
        if self.n_negatives == n_items:
            return torch.arange(n_items)
        order = torch.randperm(n_items, generator=self.generator)  # (i,)
        return order[: self.n_negatives]


def chunked_cross_entropy(
    state: Tensor,
    target: Tensor,
    negatives: Tensor,
    column: Tensor,
    log_correction: float,
    weight: Tensor,
) -> Tensor:
    """The weighted sum of cross-entropies of states (t, d), a chunk of the logits at a time: ().

    Each state's classes are its own target (t, d) and the negatives (n, d), whose logits are raised
    by a correction. `column` (t,) is where among the negatives the target is, or ABSENT: there it
    does not count.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(
        state, target, negatives, column, log_correction, weight
    )
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    """The loss and, because logits are never in memory all at once, its gradients in one pass."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        state: Tensor,
        target: Tensor,
        negatives: Tensor,
        column: Tensor,
        log_correction: float,
        weight: Tensor,
    ) -> Tensor:
        state_gradient = torch.empty_like(state)
        target_gradient = torch.empty_like(target)
        negatives_gradient = torch.zeros_like(negatives)
        loss = state.new_zeros(())
        by_state = (state, target, column, weight, state_gradient, target_gradient)
        rows = max(1, CHUNK_LOGITS // len(negatives))
        chunks = [tensor.split(rows) for tensor in by_state]
        for x, y, c, w, dx, dy in zip(*chunks, strict=True):
            positive = (x * y).sum(1)  # (c,)
            logits = (x @ negatives.T).add_(log_correction)  # (c, n)
            present = true_indices(c != ABSENT)  # (h,)
            logits[present, c[present]] = -math.inf
            top = torch.maximum(logits.amax(1), positive)  # (c,)
            top = top[:, None]  # (c, 1)
            exp_positive = (positive[:, None] - top).exp()  # (c, 1)
            exp_logits = logits.sub_(top).exp_()  # (c, n)
            partition = exp_logits.sum(1, keepdim=True) + exp_positive  # (c, 1)
            log_partition = (partition.log() + top)[:, 0]  # (c,)
            loss += log_partition.sub(positive) @ w
            each = w[:, None]  # (c, 1)
            d_logits = exp_logits.mul_(each / partition)  # (c, n)
            d_positive = each * (exp_positive / partition - 1)  # (c, 1)
            torch.mul(x, d_positive, out=dy)
            torch.mm(d_logits, negatives, out=dx)
            dx.addcmul_(d_positive, y)
            negatives_gradient.addmm_(d_logits.T, x)
        ctx.save_for_backward(state_gradient, target_gradient, negatives_gradient)
        return loss

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """() -> the gradients of state (t, d), target (t, d) and negatives (n, d)"""
        gradients = (saved * gradient for saved in ctx.saved_tensors)
        return *gradients, None, None, None
