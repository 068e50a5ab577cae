"""How good neural embeddings are on published splits, and what they do for newcomers.

gowalla: Recall@20 and NDCG@20 over all items but those known, beside the published YoutubeDNN row
(BARS). cold: a fifth of ML-1M's items, then of its users, left out of training entirely and
embedded in SQL by their features, beside what is popular and a kNN by the same features, each at
its best setting on the held-out part itself; above_low and above_high are the 95% interval of
two_tower's lead over users, of each draw and of all draws together. ml1m: everybody's last event
among all items but those seen, HR@10 and NDCG@10, beside the published rows and counts of what came
after what. sports: the same of sparse histories, and SASRec with sampled softmax;
sports_validation asks for the event before, which options are chosen by. diginetica: the next item
of sessions, which may be one seen, P@20 and MRR@20, beside NARM's published row. speed: training
steps beside those of public implementations, in turn: sasrec and gSASRec-pytorch, whose checkout
--peer names; gru4rec and bert4rec and RecBole; youtube_dnn and two_tower and torch-rechub, where
they are installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from typing import Any

import embsql
from benchmarks import _cold, _sequences, _speed
from benchmarks._apart import apart
from benchmarks._lines import line
from benchmarks._rank import stored
from benchmarks.quality import EXAMS, Exam, train

PUBLISHED = (0.1754, 0.1473)  # YoutubeDNN on gowalla
PARTS = ["gowalla", "cold", *_sequences.EXAMS, "speed"]
CHOSEN: dict[
    str, dict[str, Any]
] = {  # margin, negative_weight and user_embedding_dropout as published for MF-CCL
    "two_tower": {
        "epochs": 30,
        "loss": "contrastive",
        "margin": 0.9,
        "negative_weight": 150.0,
        "user_embedding_dropout": 0.1,
        "batch_size": 256,
        "negatives": 1024,
        "lr": 0.003,
    },
    "youtube_dnn": {
        "epochs": 60,
        "loss": "contrastive",
        "temperature": 1.0,
        "margin": 0.9,
        "negative_weight": 150.0,
        "user_embedding_dropout": 0.1,
        "history_dropout": 0.0,
        "batch_size": 64,
        "negatives": 2048,
        "lr": 0.01,
    },
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--algorithm", nargs="+", help="default: all that a part is about"
    )
    parser.add_argument("--epochs", type=int, help="instead of the chosen ones")
    parser.add_argument(
        "--options", type=json.loads, default={}, help="over the chosen ones, as JSON"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--peer", help="the folder of a checkout of asash/gSASRec-pytorch, for speed"
    )
    parser.add_argument(
        "--steps", type=int, default=4, help="of a measurement of speed"
    )
    parser.add_argument(
        "--repeat", type=int, default=5, help="measurements of speed, in turn"
    )


def measure(options: argparse.Namespace) -> None:
    if "gowalla" in options.part:
        for algorithm in options.algorithm or CHOSEN:
            _gowalla(algorithm, options)
    if "cold" in options.part:
        _cold.measure(options.seeds, threads=options.threads, epochs=options.epochs)
    for data in _sequences.EXAMS:
        if data in options.part:
            _sequences.measure(data, options)
    if "speed" in options.part:
        _speed.measure(options)


def _gowalla(algorithm: str, options: argparse.Namespace) -> None:
    exam = EXAMS["gowalla"](options.threads)
    chosen = (
        CHOSEN[algorithm]
        | ({"epochs": options.epochs} if options.epochs else {})
        | options.options
    )
    marks = []
    for seed in options.seeds:
        mark, cost = _seed(
            exam, algorithm, threads=options.threads, seed=seed, **chosen
        )
        marks.append(mark)
        for metric, value, peer in zip(exam.metrics, mark, PUBLISHED, strict=True):
            line(
                "neural",
                "gowalla",
                algorithm,
                metric,
                value,
                "share",
                peer="YoutubeDNN, published",
                peer_value=peer,
                **cost,
                **chosen,
                seed=seed,
                threads=options.threads,
            )
    for metric, values, peer in zip(
        exam.metrics, zip(*marks, strict=True), PUBLISHED, strict=True
    ):
        line(
            "neural",
            "gowalla",
            algorithm,
            metric,
            statistics.mean(values),
            "share",
            peer="YoutubeDNN, published",
            peer_value=peer,
            **chosen,
            mean_of_seeds=options.seeds,
            threads=options.threads,
        )


def _seed(
    exam: Exam, algorithm: str, **settings: Any
) -> tuple[tuple[float, float], dict[str, float]]:
    """The marks of one training, in a process of its own, and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.duckdb"
        cost = apart(
            train, file=file, source=exam.train, algorithm=algorithm, settings=settings
        )
        with embsql.connect(file, read_only=True) as database:
            model = stored(database, "exam", exam.shape)
    return exam.mark(model), cost
