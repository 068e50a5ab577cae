"""A test set of the caller's own: pairs that a run, as it is, is asked about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embsql.data import Interactions
from embsql.engines import Engine
from embsql.errors import MissingColumn, NoRows, NotEvaluated
from embsql.evaluation.splits import REPEATS, Split
from embsql.lifecycle.loaded import joined, keys
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.source import Source, reading

NONE = Columns()
NAME = "test"  # what figures on it are filed under


def read_test_set(
    engine: Engine, test: Source, run: Run, named: Columns, usual: Columns = NONE
) -> Interactions:
    """The pairs of a test, each once; what else it has does not count.

    Its columns are called as `named` says, or `usual` where it has such, or user_id and item_id.
    Raises as `prepare` does, and NotEvaluated where there is no pair.
    """
    with reading(engine, test) as (reader, text):
        there = {name.lower() for name in reader.describe(text)}
    user, item = (
        name or (other if other and other.lower() in there else None)
        for name, other in ((named.user, usual.user), (named.item, usual.item))
    )
    try:
        return prepare(
            engine, test, Columns(user, item), run, explicit=True
        ).interactions()
    except MissingColumn as error:
        raise MissingColumn(**error.values | {"source": "the test"}) from None
    except NoRows as error:
        found = error.values["found"]
        reason = f"its test gives no pair ({found}); see what it returns by itself"
        raise NotEvaluated(name=run.model_name, reason=reason) from None


def asked(
    given: Interactions, trained: Interactions, *, repeats: bool, name: str
) -> Split:
    """A test set as questions to a run that was trained on other pairs.

    Users and items that the run does not know follow behind those that it does. A pair that it was
    trained on is not asked about, unless with `repeats`. Raises NotEvaluated where nothing is left
    to ask.
    """
    users, items = (
        joined(trained.users, given.users),
        joined(trained.items, given.items),
    )
    pairs = np.sort(keys(given, users, items))  # (n,)
    known = np.isin(pairs, keys(trained, users, items))  # (n,)
    wanted = pairs if repeats else pairs[~known]
    if not len(wanted):
        reason = (
            f"it was trained on all {len(pairs)} pairs of the test; test on others, or with "
            "repeats"
        )
        raise NotEvaluated(name=name, reason=reason)
    user, item = (
        code.astype(np.int32) for code in np.divmod(wanted, len(items))
    )  # (asked,) each
    held_out = Interactions(
        user, item, np.ones(len(user), np.float32), None, users, items
    )
    train = replace(trained, users=users, items=items)
    return Split(
        NAME + REPEATS * repeats,
        train,
        held_out,
        repeats,
        {"known pairs": int(known.sum())},
    )
