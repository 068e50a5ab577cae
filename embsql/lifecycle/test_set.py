"""A test set of the caller's own: pairs that a run, as it is, is asked about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embsql.data import Interactions
from embsql.engines import Engine
from embsql.errors import InvalidArgument, MissingColumn, NoRows, NotEvaluated
from embsql.evaluation.splits import NEXT, REPEATS, TEST, Split
from embsql.lifecycle import test_sessions
from embsql.lifecycle.loaded import joined, keys
from embsql.lifecycle.test_sessions import (
    SessionTest,
    is_of_prefixes,
    read_prefixes,
    read_sessions,
)
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.source import Source, reading

NONE = Columns()
SPLITS = (
    f"left out with test, which says what is asked, or {NEXT} where it has sessions"
)
ANYWAY = "false where what comes next is asked, which may be something known"


def name_of(test: Interactions | SessionTest, *, repeats: bool) -> str:
    """What figures on a test are filed under."""
    if isinstance(test, SessionTest):
        return test_sessions.NAME
    return TEST + REPEATS * repeats


def check_options(split: str, *, repeats: bool) -> None:
    """Refuse what does not go with a test. Raises InvalidArgument."""
    if split not in ("auto", NEXT):
        raise InvalidArgument(name="split", allowed=SPLITS, value=repr(split))
    if split == NEXT and repeats:
        raise InvalidArgument(name="repeats", allowed=ANYWAY, value="true")


def read_test(
    engine: Engine, test: Source, run: Run, named: Columns, usual: Columns, split: str
) -> Interactions | SessionTest:
    """What a test asks about: pairs, or what comes next.

    The latter of prefix and target, and with the split `next` of sessions. Columns and errors are
    those of `read_test_set` and of `test_sessions`.
    """
    names = _names(engine, test)
    if is_of_prefixes(names):
        return read_prefixes(engine, test, run)
    if split != NEXT:
        return read_test_set(engine, test, run, named, usual)
    times = usual.time if usual.time and usual.time.lower() in names else "event_time"
    return read_sessions(engine, test, run, _meant(names, named, usual), times)


def _names(engine: Engine, test: Source) -> set[str]:
    """A test's columns, in lower case."""
    with reading(engine, test) as (reader, text):
        return {name.lower() for name in reader.describe(text)}


def _meant(names: set[str], named: Columns, usual: Columns) -> Columns:
    """The columns of users and items as `named` says, or `usual` where there are such."""
    user, item = (
        name or (other if other and other.lower() in names else None)
        for name, other in ((named.user, usual.user), (named.item, usual.item))
    )
    return Columns(user, item)


def read_test_set(
    engine: Engine, test: Source, run: Run, named: Columns, usual: Columns = NONE
) -> Interactions:
    """The pairs of a test, each once; what else it has does not count.

    Its columns are called as `named` says, or `usual` where it has such, or user_id and item_id.
    Raises as `prepare` does, and NotEvaluated where there is no pair.
    """
    columns = _meant(_names(engine, test), named, usual)
    try:
        return prepare(engine, test, columns, run, explicit=True).interactions()
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
    users = joined(trained.users, given.users)
    items = joined(trained.items, given.items)
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
        TEST + REPEATS * repeats,
        train,
        held_out,
        repeats,
        {"known pairs": int(known.sum())},
    )
