"""Training steps beside those of public implementations: the same shapes, the same threads, in
turn.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks._lines import in_turn, line
from benchmarks._sequences import EXAMS
from embsql import algorithms
from embsql.data import Interactions
from embsql.nn import towers
from embsql.nn.histories import histories
from embsql.nn.negatives import negative_sampler
from embsql.nn.sequence_loss import SequenceLoss
from embsql.nn.sequence_model import build_model
from embsql.nn.sequence_tasks import make_task
from embsql.nn.trainer import TrainingLoop
from embsql.run import Run

MOVIES = 3416  # items of ML-1M
USERS, PLACES = 29_858, 40_981  # of Gowalla
SHAPES: dict[
    str, dict[str, Any]
] = {  # what the peers' own configurations say; the batches are what fits in memory
    "sasrec": {
        "dim": 256,
        "n_layers": 3,
        "n_heads": 1,
        "max_length": 200,
        "dropout": 0.1,
        "batch_size": 32,
        "negatives": 256,
    },
    "gru4rec": {"dim": 64, "max_length": 50, "dropout": 0.3, "batch_size": 32},
    "bert4rec": {
        "dim": 64,
        "n_layers": 2,
        "n_heads": 2,
        "max_length": 50,
        "dropout": 0.2,
        "batch_size": 128,
    },
    "youtube_dnn": {
        "dim": 64,
        "max_length": 50,
        "history_dropout": 0.0,
        "batch_size": 32,
        "negatives": 256,
        "temperature": 0.1,
    },
    "two_tower": {"dim": 64, "sampler": "in_batch", "batch_size": 2048},
}
PREFIXES = {
    "gru4rec": 2048,
    "youtube_dnn": 128,
}  # events of a step of peers that take each as a row of its own
Work = Callable[[], int]  # trains for some steps; says from how many events


def measure(options: argparse.Namespace) -> None:
    """Events per second of every algorithm, beside its peer where that is installed."""
    torch.set_num_threads(options.threads)
    sys.path[:0] = [str(Path(options.peer).resolve())] if options.peer else []
    for algorithm in options.algorithm or SHAPES:
        peer, steps = PEERS[algorithm]
        works = _ours(algorithm, options.steps)
        if find_spec(peer):
            works[peer] = steps(options.steps)
        torch.autograd.set_detect_anomaly(
            False
        )  # which RecBole turns on where it is imported, for everybody
        for work in works.values():
            work()  # what only the first steps cost
        rates = {
            name: one.result / one.seconds
            for name, one in in_turn(works, options.repeat).items()
        }
        for name, rate in rates.items():
            line(
                "neural",
                "made, as ML-1M or Gowalla",
                f"{algorithm}, {name}",
                "events per second",
                rate,
                "1/s",
                peer=peer,
                peer_value=rates.get(peer),
                **SHAPES[algorithm],
                threads=options.threads,
            )


# --- our steps -----------------------------------------------------------------------------------


def _ours(algorithm: str, steps: int) -> dict[str, Work]:
    shape = SHAPES[algorithm]
    if algorithm == "two_tower":
        return {"embsql": _pairs(steps, shape)}
    losses = (
        {"gbce": {"loss": "gbce"}, "softmax": {"negatives": None}}
        if algorithm == "sasrec"
        else {"softmax": {}}
    )
    return {
        f"embsql, {name}": _histories(algorithm, steps, shape | loss)
        for name, loss in losses.items()
    }


def _histories(algorithm: str, steps: int, shape: dict[str, Any]) -> Work:
    """Steps over histories as long as ML-1M's."""
    chosen, generator = (
        algorithms.make(algorithm, shape),
        torch.Generator().manual_seed(1),
    )
    lengths = _lengths(shape["max_length"])
    data = _made(np.arange(len(lengths)).repeat(lengths + 1), MOVIES)
    events = histories(data)
    model = build_model(chosen, data, generator)
    n_negatives = chosen.negatives or MOVIES
    loss = SequenceLoss(model, events, chosen, n_negatives, generator)
    task = make_task(chosen.task(data), events, MOVIES, generator)
    users = [
        torch.from_numpy(rows)
        for rows in _batches(len(lengths), shape["batch_size"], steps)
    ]
    loop = TrainingLoop(algorithm, 1, 0.001)
    learned = int(sum(lengths[rows].sum() for rows in users))
    return lambda: (
        loop.train(model, lambda: map(task.batch, users), steps, loss, Run()) or learned
    )


def _pairs(steps: int, shape: dict[str, Any]) -> Work:
    """Steps over pairs of as many users and items as Gowalla has."""
    chosen, generator, size = (
        algorithms.make("two_tower", shape),
        torch.Generator().manual_seed(1),
        shape["batch_size"],
    )
    data = _made(
        np.random.default_rng(0).integers(USERS, size=steps * size), PLACES, USERS
    )
    model = towers.build_two_towers(
        chosen, data, {"user": None, "item": None}, generator
    )
    sampler = negative_sampler(chosen.sampler, chosen.negatives, size, data, generator)
    dropouts = towers.Dropouts(generator, 0.0)
    loss = towers.TwoTowerLoss(model, sampler, dropouts, chosen, feature_reg=0.0)
    loop = TrainingLoop("two_tower", 1, 0.001)
    return lambda: (
        loop.train(
            model, lambda: towers.pair_batches(data, size, sampler), steps, loss, Run()
        )
        or len(data)
    )


def _made(user: np.ndarray, n_items: int, n_users: int | None = None) -> Interactions:
    """Users (n,) who meet random items, in order."""
    n, item = len(user), np.random.default_rng(1).integers(n_items, size=len(user))
    users, items = (
        pa.array(map(str, range(size)))
        for size in (n_users or int(user.max()) + 1, n_items)
    )
    return Interactions(
        np.sort(user).astype(np.int32),
        item.astype(np.int32),
        np.ones(n, np.float32),
        np.arange(n),
        users,
        items,
    )


def _lengths(longest: int) -> np.ndarray:
    """How many events of each user of ML-1M are predicted: all but the first of the latest."""
    lengths = (
        np.minimum(
            [len(events) for events in EXAMS["ml1m"]("").seen or ()], longest + 1
        )
        - 1
    )
    return lengths[lengths > 0]


def _batches(n: int, size: int, steps: int) -> list[np.ndarray]:
    """Which of n each step is about, the same for everybody."""
    return np.array_split(
        np.random.default_rng(0).permutation(n)[: steps * size], steps
    )


# --- theirs --------------------------------------------------------------------------------------


def _padded(lengths: np.ndarray, longest: int) -> torch.Tensor:
    """Random items from 1, and 0 after each history's end: (b, longest)"""
    items = torch.randint(1, MOVIES + 1, (len(lengths), longest))
    return items * (torch.arange(longest) < torch.from_numpy(lengths)[:, None])


def _taught(
    model: torch.nn.Module,
    batches: list[Any],
    loss_of: Callable[..., torch.Tensor],
    events: int,
) -> Work:
    """The loop that the peers' trainers have."""
    optimizer = torch.optim.Adam(model.train().parameters(), lr=0.001)

    def work() -> int:
        for batch in batches:
            optimizer.zero_grad()
            loss_of(batch).backward()
            optimizer.step()
        return events

    return work


def _gsasrec(steps: int) -> Work:
    """As train_gsasrec.py of gSASRec-pytorch has it, where histories end at the right."""
    shape = SHAPES["sasrec"]
    model_of, loss_of = (
        importlib.import_module("gsasrec").GSASRec,
        importlib.import_module("gbce").gBCE,
    )
    longest, k, lengths = (
        shape["max_length"],
        shape["negatives"],
        _lengths(shape["max_length"]),
    )
    model = model_of(
        MOVIES,
        longest,
        shape["dim"],
        shape["n_heads"],
        shape["n_layers"],
        shape["dropout"],
    )
    loss_fn = loss_of(MOVIES - 1, k, 0.75)

    def loss(items: torch.Tensor) -> torch.Tensor:
        others = torch.randint(1, MOVIES + 1, (len(items), longest, k))
        states, _ = model(items[:, :-1])
        both = torch.cat([items[:, 1:, None], others], dim=2)  # (b, l, 1 + k)
        scores = torch.einsum("bld,blnd->bln", states, model.item_embedding(both))
        there = (items[:, 1:, None] != MOVIES + 1).float()
        right = torch.zeros_like(scores)
        right[:, :, 0] = 1
        return (loss_fn(scores, right) * there).sum() / (there.sum() * (k + 1))

    users = _batches(len(lengths), shape["batch_size"], steps)
    batches = [_padded(lengths[rows] + 1, longest + 1).flip(1) for rows in users]
    batches = [items.masked_fill(items == 0, MOVIES + 1) for items in batches]
    return _taught(
        model, batches, loss, int(sum(lengths[rows].sum() for rows in users))
    )


def _recbole(algorithm: str, name: str, steps: int) -> Work:
    """A model of RecBole, with its own configuration."""
    shape = SHAPES[algorithm]
    module = importlib.import_module(
        f"recbole.model.sequential_recommender.{algorithm}"
    )
    model = getattr(module, name)(
        _Configuration(shape), SimpleNamespace(num=lambda _: MOVIES + 1)
    )
    batches, counts = zip(
        *(_prefixes if algorithm == "gru4rec" else _masked)(algorithm, steps),
        strict=True,
    )
    return _taught(model, list(batches), model.calculate_loss, sum(counts))


class _Configuration(dict[str, Any]):
    """What RecBole's configuration files say, at our shapes."""

    def __init__(self, shape: dict[str, Any]) -> None:
        super().__init__(
            USER_ID_FIELD="user",
            ITEM_ID_FIELD="item",
            LIST_SUFFIX="_list",
            ITEM_LIST_LENGTH_FIELD="length",
            NEG_PREFIX="neg_",
            MAX_ITEM_LIST_LENGTH=shape["max_length"],
            device="cpu",
            loss_type="CE",
            embedding_size=shape["dim"],
            hidden_size=shape["dim"],
            num_layers=1,
            dropout_prob=shape["dropout"],
            n_layers=shape.get("n_layers"),
            n_heads=shape.get("n_heads"),
            inner_size=4 * shape["dim"],
            hidden_dropout_prob=shape["dropout"],
            attn_dropout_prob=shape["dropout"],
            hidden_act="gelu",
            layer_norm_eps=1e-12,
            mask_ratio=0.2,
            initializer_range=0.02,
            MASK_ITEM_SEQ="masked",
            POS_ITEMS="positive",
            NEG_ITEMS="negative",
            MASK_INDEX="places",
        )


def _prefixes(
    algorithm: str, steps: int
) -> Iterator[tuple[dict[str, torch.Tensor], int]]:
    """Every event is a row of its own, after the events before it."""
    shape = SHAPES[algorithm]
    places = np.concatenate(
        [np.arange(1, length + 1) for length in _lengths(shape["max_length"])]
    )
    for rows in _batches(len(places), PREFIXES[algorithm], steps):
        item = torch.randint(1, MOVIES + 1, (len(rows),))
        history = _padded(places[rows], shape["max_length"])
        yield (
            {
                "item_list": history,
                "length": torch.from_numpy(places[rows]),
                "item": item,
            },
            len(rows),
        )


def _masked(
    algorithm: str, steps: int
) -> Iterator[tuple[dict[str, torch.Tensor], int]]:
    """A fifth of every history is hidden behind a token of its own."""
    shape = SHAPES[algorithm]
    longest, lengths = shape["max_length"], _lengths(shape["max_length"])
    for rows in _batches(len(lengths), shape["batch_size"], steps):
        history = _padded(lengths[rows], longest)
        hidden = (torch.rand(history.shape) < 0.2) & (history > 0)  # (b, longest)
        places = (
            (hidden * torch.arange(longest)).topk(int(0.2 * longest)).values
        )  # (b, k) 0 where there are fewer
        masked = history.masked_fill(hidden, MOVIES + 1)
        yield (
            {
                "masked": masked,
                "positive": history.gather(1, places),
                "negative": None,
                "places": places,
            },
            int(lengths[rows].sum()),
        )


def _rechub(
    model: Any,
    batches: Iterable[tuple[dict[str, torch.Tensor], torch.Tensor]],
    **options: Any,
) -> Work:
    """A model of torch-rechub, with its own trainer."""
    trainer = importlib.import_module("torch_rechub.trainers").MatchTrainer(
        model, **options
    )
    batches = list(batches)
    events = sum(len(right) for _, right in batches)

    def work() -> int:
        trainer.train_one_epoch(batches)
        return events

    return work


def _youtube_dnn(steps: int) -> Work:
    """Every event is a row of its own, after the events before it, with negatives of its own."""
    shape, features = (
        SHAPES["youtube_dnn"],
        importlib.import_module("torch_rechub.basic.features"),
    )
    sequence, size = features.SequenceFeature, MOVIES + 1
    past = sequence("past", size, shape["dim"], pooling="mean", padding_idx=0)
    one, others = (
        features.SparseFeature("item", size, shape["dim"], shared_with="past"),
        sequence("others", size, shape["dim"], pooling="concat", shared_with="past"),
    )
    models = importlib.import_module("torch_rechub.models.matching")
    model = models.YoutubeDNN(
        [past], [one], [others], {"dims": []}, temperature=shape["temperature"]
    )
    batches = (
        (
            {
                "past": batch["item_list"],
                "item": batch["item"],
                "others": torch.randint(1, size, (count, shape["negatives"])),
            },
            torch.zeros(count),
        )
        for batch, count in _prefixes("youtube_dnn", steps)
    )
    return _rechub(model, batches, mode=2)


def _dssm(steps: int) -> Work:
    """Pairs of a user and an item, whose negatives are the others' items."""
    shape, features = (
        SHAPES["two_tower"],
        importlib.import_module("torch_rechub.basic.features"),
    )
    user, item = (
        features.SparseFeature(name, size, shape["dim"])
        for name, size in (("user", USERS), ("item", PLACES))
    )
    model = importlib.import_module("torch_rechub.models.matching").DSSM(
        [user], [item], {"dims": []}, {"dims": []}
    )
    size = shape["batch_size"]
    batches = (
        (
            {
                "user": torch.randint(USERS, (size,)),
                "item": torch.randint(PLACES, (size,)),
            },
            torch.ones(size),
        )
        for _ in range(steps)
    )
    return _rechub(model, batches, in_batch_neg=True)


PEERS: dict[str, tuple[str, Callable[[int], Work]]] = {  # a package, and its steps
    "sasrec": ("gsasrec", _gsasrec),
    "gru4rec": ("recbole", partial(_recbole, "gru4rec", "GRU4Rec")),
    "bert4rec": ("recbole", partial(_recbole, "bert4rec", "BERT4Rec")),
    "youtube_dnn": ("torch_rechub", _youtube_dnn),
    "two_tower": ("torch_rechub", _dssm),
}
