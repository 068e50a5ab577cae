"""The oracle: what each question answers, written from its header alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.oracle.answers import (
    audience,
    clusters,
    cohorts,
    diagnostics,
    features,
    models,
    recommend,
    search,
)
from tests.oracle.compare import Answer, Refused
from tests.oracle.data import World

CHAPTERS = (
    audience,
    clusters,
    cohorts,
    diagnostics,
    features,
    models,
    recommend,
    search,
)


def answer(world: World, question: str, arguments: dict[str, Any]) -> Answer:
    """The right answer of a call; a refusal is one too."""
    try:
        found: Answer = _function(question)(world, **arguments)
    except Refused as refusal:
        refusal.idle = refusal.idle or _idle(arguments)
        return refusal
    return found


def _idle(arguments: dict[str, Any]) -> bool:
    """Whether a call asks for nothing, of nobody or for no rows: an engine may look no further."""
    asked = {
        name: value for name, value in arguments.items() if not name.startswith("model")
    }
    nobody = any(value in (None, [], "thing") for value in asked.values())
    return nobody or asked.get("k", 1) <= 0


def _function(question: str) -> Callable[..., Answer]:
    """The oracle of one question: the function of its name, or name_ where Python has the name."""
    names = (question, f"{question}_")
    return next(
        getattr(chapter, name)
        for chapter in CHAPTERS
        for name in names
        if name in vars(chapter)
    )
