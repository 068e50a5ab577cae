"""Training of sequence models: histories in, vectors of users and items out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from embsql.data import Embeddings, FoldIn, Interactions
from embsql.features.time import ages, time_features
from embsql.nn.histories import EventHistories, histories, users_with_events
from embsql.nn.network_rows import network_rows
from embsql.nn.sequence_loss import SequenceLoss
from embsql.nn.sequence_model import EVAL_BATCH, SequenceModel, build_model
from embsql.nn.sequence_tasks import SequenceBatch, Task, make_task
from embsql.nn.tensors import float32_array, true_indices
from embsql.nn.trainer import (
    MAX_HELD_OUT,
    TrainingLoop,
    effective_batch_size,
    shuffled_batches,
    torch_context,
)
from embsql.options import Similarity
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Sequential, TrainingTask

# items up to which the loss is over the whole catalog; of more, scoring all is most of a training
FULL_SOFTMAX_LIMIT = 5_000
DEFAULT_NEGATIVES = 1024  # where it is not
EARLY_STOPPING_K = 10  # length of the lists that early stopping looks at


def fit_sequence_model(options: Sequential, data: Interactions, run: Run) -> Embeddings:
    """Train a sequence model. Raises BadOption, Diverged, NoGpu and NotEnoughData."""
    task_name = options.task(data)
    events = _events(options, data)
    known = events
    held_out = None
    if options.patience:
        known, held_out = _hold_out_last(events, run.seed)
    one_to_start_from = 1 if task_name == "causal" else 0
    training = known.latest(options.max_length + one_to_start_from)
    min_events = 1 if task_name == "masked" else 2
    learners = users_with_events(
        data,
        training,
        min_events,
        algorithm=options.name,
        need="one user with two events",
    )  # (n,)
    batch_size = effective_batch_size(options.batch_size, len(learners))
    n_batches = math.ceil(len(learners) / batch_size)
    n_negatives = _n_negatives(options, data.n_items)
    events_per_history = len(training.item) / len(learners)
    multiplications = events_per_history * batch_size * n_negatives * options.dim
    with torch_context(run, multiplications) as generator:
        model = build_model(options, data, generator)
        if run.before:
            model.warm_start(run.before.items)
        model.to(run.device)
        task = make_task(task_name, training, data.n_items, generator)
        loss = SequenceLoss(model, training, options, n_negatives, generator)
        batches = partial(_batches, task, learners, batch_size, generator)
        validate = None
        if held_out:
            asked = _asked(options, task_name, known, data.n_items)
            validate = partial(_ndcg, model, asked, known, held_out)
        loop = TrainingLoop(options.name, options.epochs, options.lr, options.patience)
        loop.train(model, batches, n_batches, loss, run, validate)
        asked = _asked(options, task_name, events, data.n_items)
        return _embeddings(model, options, asked, data)


def _events(options: Sequential, data: Interactions) -> EventHistories:
    """All events with what the options want to be known of them. Raises BadOption."""
    events = histories(data)
    weight = options.weights(data)  # (m,)
    events = replace(events, weight=torch.from_numpy(weight))
    if options.example_age:
        age = ages(options, "example_age", data.events_by_time().time)  # (m,)
        log_age = np.log1p(age).astype(np.float32)
        events = replace(events, age=torch.from_numpy(log_age))
    if options.time_features:
        features = time_features(options, data)  # (m, c)
        events = replace(events, time_features=torch.from_numpy(features))
    return events


def _n_negatives(options: Sequential, n_items: int) -> int:
    """Negatives of a batch."""
    is_full = options.loss == "softmax" and n_items <= FULL_SOFTMAX_LIMIT
    default = n_items if is_full else DEFAULT_NEGATIVES
    return min(options.negatives or default, n_items)


def _batches(
    task: Task, learners: Tensor, size: int, generator: torch.Generator
) -> Iterator[SequenceBatch]:
    """All histories in random order."""
    for chosen in shuffled_batches(len(learners), size, generator):
        yield task.batch(learners[chosen])


def _asked(
    options: Sequential,
    task_name: TrainingTask,
    events: EventHistories,
    mask_token: int,
) -> EventHistories:
    """The histories after whose last event the states are users' vectors."""
    if task_name == "masked":
        return events.latest(options.max_length - 1).append(mask_token)
    return events.latest(options.max_length)


def _embeddings(
    model: SequenceModel, options: Sequential, asked: EventHistories, data: Interactions
) -> Embeddings:
    users = model.last_states(asked)  # (u, d)
    similarity: Similarity = "dot" if model.temperature is None else "cosine"
    # so that folding in makes of a history what the network of youtube_dnn does
    fold_in = FoldIn("mean", item_scale=model.input_lengths())
    return Embeddings(
        float32_array(users),
        model.scored_items(),
        similarity,
        fold_in=fold_in,
        network=network_rows(model, options, data),
    )


# --- early stopping ------------------------------------------------------------------------------


class HeldOut(NamedTuple):
    """Last events, left out of training."""

    user: Tensor  # (h,)
    item: Tensor  # (h,)


def _hold_out_last(events: EventHistories, seed: int) -> tuple[EventHistories, HeldOut]:
    """The histories without held-out last events, and those.

    Of everybody who has three, or of as many users as are looked at.
    """
    generator = torch.Generator().manual_seed(seed)
    has_three = true_indices(events.counts >= 3)  # (n,)
    order = torch.randperm(len(has_three), generator=generator)  # (n,)
    users = has_three[order[:MAX_HELD_OUT]]  # (h,)
    users = users.sort().values
    known, item = events.without_last(users)
    return known, HeldOut(users, item)


@torch.inference_mode()
def _ndcg(
    model: SequenceModel,
    asked: EventHistories,
    known: EventHistories,
    held_out: HeldOut,
) -> float:
    """NDCG of the held-out items among those that their users have not seen before."""
    states = model.last_states(asked)  # (u, d)
    items = torch.from_numpy(model.scored_items())  # (i, d)
    gains = []
    batches = zip(*(codes.split(EVAL_BATCH) for codes in held_out), strict=True)
    for users, wanted in batches:
        scores = states[users] @ items.T  # (b, i)
        wanted_score = scores.gather(1, wanted[:, None])  # (b, 1)
        event, row, _ = known.events_of(users)  # (t,), (t,)
        seen = known.item[event]  # (t,)
        scores[row, seen] = -math.inf
        rank = (scores > wanted_score).sum(1)  # (b,) from 0
        gain = 1 / (rank + 2.0).log2()  # (b,)
        gain = torch.where(rank < EARLY_STOPPING_K, gain, 0.0)
        gains.append(gain)
    return float(torch.cat(gains).mean())
