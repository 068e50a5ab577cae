"""Held-out interactions: what a model is not shown, so that it can be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float64, Int64, Interactions
from embsql.errors import InvalidArgument, NotEvaluated
from embsql.evaluation.sessions import Sessions, sessions

Mask = NDArray[np.bool_]

FRACTION = 0.2  # of what is held out, but with the method last
REPEATS = "+repeats"  # behind the name of a split that asks again for what was known
TEST = "test"  # the split whose pairs the caller gives
NEXT = "next"  # the split, and behind a test's name, that asks for what comes next


@dataclass(frozen=True, slots=True)
class Split:
    """Interactions in two: what is trained on, and what is asked. Their vocabularies are one."""

    # what its figures are filed under: last, time, time+repeats, random, next, test, ...
    name: str
    train: Interactions
    held_out: Interactions
    # whether what a user knew is asked for again, and may then be in a list
    repeats: bool = False
    # what else is to be known about it: name -> how many
    facts: Mapping[str, int] = field(default_factory=dict)
    # the events asked about, each from those before it; none: pairs are, of whole users
    sessions: Sessions | None = None

    @property
    def given(self) -> bool:
        """Whether what is asked is a test of the caller's own, of which nothing is trained on."""
        return self.name.split("+")[0] == TEST


@dataclass(frozen=True, slots=True)
class Cut:
    """How to split."""

    seed: int
    fraction: float  # of what is held out, but with the method last
    average: bool  # whether a pair's weight is the mean of its events', not their sum
    repeats: bool  # whether to ask again for what was known
    # time: ask about what came later than this instant; none: about the last fraction
    after: int | None = None
    first: int = 0  # how many pairs come before these, where they are a part


def split(
    data: Interactions,
    method: str = "auto",
    *,
    seed: int = 42,
    fraction: float = FRACTION,
    average: bool = False,
    repeats: bool = False,
) -> Split:
    """Training pairs and held-out pairs.

    `method` is one of

    - `last`: the last pair of every user with at least two, by time; of several of that time one
      is drawn. No user's training pair is later than that user's held-out pair. Pairs of other
      users may be.
    - `time`: cuts before the last `fraction` of all events. What is trained on is what had
      happened by then: pairs as their events make them (weights summed, or with `average` their
      mean), whatever came later. What is asked is the pairs that begin after the cut; with
      `repeats` those too that were known. Events of one instant stay together. Without events each
      pair is one, at its last time. Users and items may have no training pair left, which
      `Questions` counts.
    - `random`: `fraction` of each user's pairs (rounded, at least one) of users with at least two,
      who keep at least one. It lets a model see the future, so its figures flatter; use it where
      there is no time.
    - `next`: cuts as `time` does. What is asked is every event after the cut, from those that the
      same user had before it, whatever these are; lists may have what the user had.
    - `auto`: `last` where the source has event_time, else `random`.

    `last` and `random` take whole pairs, which together are the data. Raises NotEvaluated where
    the method is unknown, needs a time that is missing, or nothing can be held out; InvalidArgument
    for repeats of another method than time.
    """
    name = resolve_split(method, has_time=data.time is not None, repeats=repeats)
    if not 0 < fraction < 1:
        raise _not_evaluated(
            f"the held-out fraction must be between 0 and 1, got {fraction}"
        )
    method = name.removesuffix(REPEATS)
    parts = METHODS[method](data, Cut(seed, fraction, average, repeats))
    if not len(parts.held_out):
        raise nothing_held_out(name)
    return parts


def nothing_held_out(name: str) -> NotEvaluated:
    """What to raise where a split of this name leaves nothing to ask about."""
    need = NEEDS[name.removesuffix(REPEATS)]
    return _not_evaluated(f"split '{name}' finds nothing to hold out; {need}")


def resolve_split(method: str, *, has_time: bool, repeats: bool = False) -> str:
    """What figures on a split are filed under.

    Raises NotEvaluated or InvalidArgument when the data do not allow it.
    """
    if method not in {"auto", *METHODS}:
        known = ", ".join(("auto", *METHODS))
        raise _not_evaluated(f"there is no split '{method}', only {known}")
    default = "last" if has_time else "random"
    name = default if method == "auto" else method
    if name != "random" and not has_time:
        missing = "needs event_time, which the source does not give; select it or use 'random'"
        raise _not_evaluated(f"split '{name}' {missing}")
    if repeats and name != "time":
        why = "asks for what is new; use split 'time'"
        if name == NEXT:
            why = "asks for it anyway"
        raise InvalidArgument(
            name="repeats",
            allowed=f"false with split '{name}', which {why}",
            value="true",
        )
    return name + REPEATS if repeats else name


def _not_evaluated(reason: str) -> NotEvaluated:
    return NotEvaluated(name="the model", reason=reason)


def _last(data: Interactions, cut: Cut) -> Split:
    """The last pair of every user with at least two, by lot where several are last.

    Codes follow the order of ids, so that any rule about codes would prefer some names to others.
    """
    assert data.time is not None  # noqa: S101 - checked by resolve_split; for the type checker
    matrix = data.by_user()
    has_pairs = matrix.counts > 0  # (n_users,)
    begins = matrix.indptr[:-1][has_pairs]  # (u,) of the users with pairs
    counts = matrix.counts[has_pairs]  # (u,)
    if not len(begins):
        return Split("last", data, data)
    latest = np.maximum.reduceat(data.time, begins)  # (u,)
    is_latest = data.time == np.repeat(latest, counts)  # (n,)
    lots = np.where(is_latest, _lots(len(data), cut), -1.0)  # (n,)
    drawn = lots == np.repeat(np.maximum.reduceat(lots, begins), counts)  # (n,)
    tied = np.add.reduceat(is_latest, begins, dtype=np.int64) > 1  # (u,)
    held_out = drawn & np.repeat(counts > 1, counts)  # (n,)
    return _by_pair("last", data, held_out, {"tied users": int(tied.sum())})


def by_time(data: Interactions, cut: Cut) -> Split:
    """What had happened before an instant, and the pairs that begin then or later."""
    events = data.events_by_time()
    assert events.time is not None  # noqa: S101 - checked by resolve_split; for the type checker
    is_late = _is_late(events.time, cut)  # (m,)
    known = np.zeros(len(data), bool)  # (n,) pairs with an event before the cut
    late = np.zeros(len(data), bool)  # (n,) pairs with one after it
    known[events.pair[~is_late]] = True
    late[events.pair[is_late]] = True
    held_out = late if cut.repeats else late & ~known  # (n,)
    name = "time" + REPEATS * cut.repeats
    facts = {"known pairs": int((known & late).sum())}
    train = data.from_events(~is_late, average=cut.average)
    return Split(name, train, data.where(held_out), cut.repeats, facts)


def by_next(data: Interactions, cut: Cut) -> Split:
    """What had happened before an instant, and events since, each from what came before it.

    Of very many events some are drawn.
    """
    train = by_time(data, cut).train
    events = data.events_by_time()
    assert events.time is not None  # noqa: S101 - checked by resolve_split; for the type checker
    is_late = _is_late(events.time, cut)  # (m,)
    every = sessions(data, is_late)
    drawn = every.drawn(cut.seed)
    held_out = np.zeros(len(data), bool)  # (n,)
    held_out[events.pair[drawn.asked]] = True
    known = np.bincount(train.item, minlength=data.n_items) > 0  # (n_items,)
    facts = drawn.facts(known) | left_out(int(is_late.sum()), every, drawn)
    return Split(NEXT, train, data.where(held_out), True, facts, drawn)


def left_out(events: int, every: Sessions, drawn: Sessions) -> dict[str, int]:
    """How many of some events are not asked about, and why."""
    return {
        "events without a prefix": events - len(every.asked),
        "events not drawn": len(every.asked) - len(drawn.asked),
    }


def _is_late(time: Int64, cut: Cut) -> Mask:
    """Which of some times (m,) come after the cut.

    The instant at its border does, unless it is all there is.
    """
    if not len(time):
        return np.zeros(0, bool)
    if cut.after is not None:
        return time > cut.after
    position = len(time) - max(1, round(len(time) * cut.fraction))
    border = np.partition(time, position)[position]
    is_late: Mask = time > border if border == time.min() else time >= border  # (m,)
    return is_late


def _random(data: Interactions, cut: Cut) -> Split:
    """A fraction of the pairs of every user with at least two."""
    matrix = data.by_user()
    lots = _lots(len(data), cut)  # (n,)
    order = np.lexsort((lots, data.user))  # (n,) shuffled within users
    begins = np.repeat(matrix.indptr[:-1], matrix.counts)  # (n,)
    rank = np.empty(
        len(data), np.int64
    )  # (n,) of a pair among the shuffled pairs of its user
    rank[order] = np.arange(len(data)) - begins
    most = np.maximum(matrix.counts - 1, 0)  # (n_users,)
    taken = np.clip(np.rint(matrix.counts * cut.fraction), 1, most)  # (n_users,)
    return _by_pair("random", data, rank < taken[data.user], {})


def _lots(n: int, cut: Cut) -> Float64:
    """Numbers from 0 to 1 for n pairs (n,), each of the seed and the pair's position alone."""
    stream = np.random.PCG64(cut.seed).advance(cut.first)
    return np.random.Generator(stream).random(n)


def _by_pair(
    name: str, data: Interactions, held_out: Mask, facts: Mapping[str, int]
) -> Split:
    """Whole pairs on either side, held out where held_out (n,) is true."""
    return Split(name, data.where(~held_out), data.where(held_out), facts=facts)


METHODS: dict[str, Callable[[Interactions, Cut], Split]] = {
    "last": _last,
    "time": by_time,
    "random": _random,
    NEXT: by_next,
}
NEEDS = {
    "last": "it needs users with at least two items",
    "time": "it needs two different times, and after the cut a pair that was not known before",
    "random": "it needs users with at least two items",
    NEXT: "it needs two different times, and after the cut an event of a user who had one before",
}
