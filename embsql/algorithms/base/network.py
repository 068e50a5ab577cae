"""Where an algorithm's training is a network's, which needs torch."""

from __future__ import annotations

import importlib
from typing import Any

from embsql.data import Embeddings
from embsql.errors import MissingExtra


def train_network(function: str, options: Any, *inputs: Any) -> Embeddings:
    """What a function of embsql.nn, module.function, trains with an algorithm's options.

    Raises MissingExtra without torch.
    """
    module, _, name = function.partition(".")
    try:
        # here: torch is slow to import
        networks = importlib.import_module(f"embsql.nn.{module}")
    except ImportError:
        raise MissingExtra(what=options.name, package="torch", extra="torch") from None
    embeddings: Embeddings = getattr(networks, name)(options, *inputs)
    return embeddings
