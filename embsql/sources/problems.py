"""What is wrong with the rows of a source so that nothing can be trained on them."""

from __future__ import annotations

from typing import Any

from embsql.engines.columns import quote
from embsql.errors import BadWeights, EmbsqlError, IdTooLong, NoRows
from embsql.sources.columns import LARGEST, nul_in
from embsql.sources.findings import IdFacts

LONGEST_ID = 1024  # bytes; an index entry of PostgreSQL holds no more than about 2,700


def find_problem(
    summary: dict[str, Any],
    usable: int,
    ids: dict[str, IdFacts],
    facts: dict[str, Any],
    model: str,
) -> EmbsqlError | None:
    """What makes training impossible, worst first.

    `summary` is of the rows, of which so many can be used, with these ids of "user" and "item".
    """
    names, signs = facts["names"], summary["negative"] and not facts["explicit"]
    if summary["infinite"] or signs:
        return _bad_weights(summary, quote(names["weight"]), bool(signs), model)
    if not usable:
        return NoRows(
            found=f"{summary['rows']} rows, none of them with two ids and a weight",
            model=model,
        )
    for entity, found in ids.items():
        if len(found.longest.encode()) > LONGEST_ID:
            return too_long(entity, found.longest, quote(names[entity]))
        if found.with_nul is not None:
            return nul_in(found.with_nul, names[entity])
    return None


def too_long(entity: str, longest: str, name: str) -> IdTooLong:
    """The error for an id that no index takes."""
    return IdTooLong(
        entity=entity,
        start=longest[:20],
        length=len(longest.encode()),
        limit=LONGEST_ID,
        remedy=f"md5({name}) AS {name}",
        shared={"start": ""},
    )


def _bad_weights(
    summary: dict[str, Any], column: str, signs: bool, model: str
) -> BadWeights:
    """The worst of what is wrong with weights, and what leaves all such rows out."""
    finite, positive = (
        f"abs({column}) <= {LARGEST:g}" if summary["infinite"] else "",
        f"{column} > 0" if signs else "",
    )
    which, kind = (
        ("infinite", "not finite") if summary["infinite"] else ("negative", "negative")
    )
    return BadWeights(
        rows=summary[which],
        kind=kind,
        example=summary[f"{which}_example"],
        model=model,
        remedy="WHERE " + " AND ".join(filter(None, (finite, positive))),
        shared={"example": "some in the report"},
    )


def too_much(endless: int, facts: dict[str, Any], model: str) -> BadWeights:
    """The error for so many pairs whose rows add up to more than a float holds."""
    column = quote(facts["names"]["weight"])
    return BadWeights(
        rows=endless,
        kind="not finite once the rows of a pair are added up",
        example=f"more than {LARGEST:g}",
        model=model,
        remedy=f"WHERE abs({column}) <= 1e30",
    )
