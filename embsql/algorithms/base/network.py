"""Where an algorithm's training is a network's, which needs torch."""

from __future__ import annotations

import importlib
from typing import Any

from embsql.data import Embeddings
from embsql.errors import MissingExtra


def train_network(module: str, options: Any, *inputs: Any) -> Embeddings:
    """What a module of embsql.nn trains with an algorithm's options.

    Raises MissingExtra without torch.
    """
    try:
        trainer = importlib.import_module(f"embsql.nn.{module}")  # here: torch is slow to import
    except ImportError:
        raise MissingExtra(what=options.name, package="torch", extra="torch") from None
    trained: Embeddings = trainer.fitted(options, *inputs)
    return trained
