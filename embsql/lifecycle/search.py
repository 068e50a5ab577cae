"""Searching options.

Train with many settings on a part of the data, and see which answers best about the rest.

The sampler is the tree-structured Parzen estimator of optuna (Bergstra et al., 2011, "Algorithms
for hyper-parameter optimization"), seeded by the run: the same seed, data and threads try the same
settings.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, NamedTuple

from embsql import algorithms, options
from embsql.algorithms import Algorithm
from embsql.errors import (
    AllTrialsFailed,
    BadFeatures,
    BadOption,
    BadSearch,
    Diverged,
    EmptyGraph,
    InvalidArgument,
    MissingExtra,
    shared,
)
from embsql.options import Option, shown
from embsql.plain_values import plain_value
from embsql.run import Run

# how often the sampler is asked per trial: what it names again is not tried again
MAX_ASKS_PER_TRIAL = 10
MAX_SCANNED = 1000  # settings that are looked through for one that can be made
# a positive range whose ends are so far apart is searched on a logarithmic scale
LOG_SCALE_RATIO = 10
# errors that fail one setting only: the search goes on without it
TRIAL_ERRORS = (Diverged, BadOption, BadFeatures, EmptyGraph, MemoryError)


class Interval(NamedTuple):
    """Every number between two, the ends too; whole ones where the ends are."""

    low: float
    high: float

    @property
    def logarithmic(self) -> bool:
        """Whether it is searched by orders of magnitude."""
        return self.low > 0 and self.high >= LOG_SCALE_RATIO * self.low


Values = list[Any] | Interval  # candidates, or a range


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and what came of it: a row of embsql.trials."""

    trial: int  # from 1
    params: str  # JSON of the options searched
    metric: str
    value: float | None  # None: it failed
    seconds: float
    status: str  # done failed
    error: str | None = None
    # what only candidates of algorithm auto have
    algorithm: str | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """Which options of an algorithm are searched, and how often."""

    algorithm: str
    fixed: Mapping[str, Any]  # the caller's other options
    space: Mapping[str, Values]
    trials: int

    def make(self, setting: Mapping[str, Any]) -> Algorithm:
        """The algorithm with one setting. Raises BadOption for options that do not go together."""
        return algorithms.make(self.algorithm, {**self.fixed, **setting})

    @property
    def asked(self) -> dict[str, Any]:
        """What is searched, in words for JSON."""
        words = {
            name: {"from": values.low, "to": values.high}
            if isinstance(values, Interval)
            else values
            for name, values in self.space.items()
        }
        return {"trials": self.trials, "options": words}


# --- what the caller wants -----------------------------------------------------------------------


def read_search(
    algorithm: str, given: Mapping[str, Any], trials: int | None
) -> tuple[Algorithm, Search | None]:
    """The algorithm at the first setting of the options to be searched, and the search.

    An option is searched over candidates, [32, 64], {32, 64} or "32,64", or over a range, (0.001,
    0.1), {"from": 0.001, "to": 0.1} or "0.001..0.1". Raises UnknownAlgorithm, UnknownOption,
    BadOption, BadSearch, InvalidArgument when `trials` does not fit, and MissingExtra.
    """
    cls = algorithms.find(algorithm)
    known = {option.name: option for option in options.declared(cls)}
    options.check_names(cls, given, known)
    wanted = {name: _values(value, known[name]) for name, value in given.items()}
    space = {
        name: _checked(cls, known[name], values)
        for name, values in wanted.items()
        if values is not None
    }
    fixed = {name: value for name, value in given.items() if name not in space}
    if not _fits(trials, space):
        return algorithms.make(algorithm, fixed), None
    search = Search(algorithm, fixed, space, trials or 0)
    first = _first(search)
    _require_one_snapshot(search, first)
    _optuna()
    return first, search


def _fits(trials: int | None, space: Mapping[str, Values]) -> bool:
    """Whether there is anything to search.

    Raises InvalidArgument when `n_trials` and the options do not say the same.
    """
    if trials is None and not space:
        return False
    if trials is None:
        allowed = (
            "the number of trials, for example 20, where an option has several values "
            f"({', '.join(space)})"
        )
        raise InvalidArgument(name="n_trials", allowed=allowed, value="none")
    if not space:
        allowed = (
            "given together with an option that has several values, for example dim=[32, 64, "
            "128]"
        )
        raise InvalidArgument(
            name="n_trials", allowed=allowed, value=f"{trials} without any"
        )
    return True


def _values(value: Any, option: Option) -> list[Any] | tuple[Any, ...] | None:
    """Candidates (a list) or the ends of a range (a tuple), as given; None for a single value."""
    if isinstance(value, set | frozenset):
        # sets of text have another order in every process
        return sorted(value, key=shown)
    if isinstance(value, Mapping):
        if set(value) != {"from", "to"}:
            raise BadSearch(
                name=option.name, reason=f"{shown(value)} has not just from and to"
            )
        return value["from"], value["to"]
    # of text a comma may be a part
    if isinstance(value, str) and (option.kind is not str or option.choices):
        low, dots, high = value.partition("..")
        return (low, high) if dots else _listed(value)
    if isinstance(value, tuple):
        return value
    candidates = plain_value(value)  # of an array, too
    return candidates if isinstance(candidates, list) else None


def _listed(value: str) -> list[Any] | None:
    return [part.strip() for part in value.split(",")] if "," in value else None


def _checked(
    cls: type[Any], option: Option, given: list[Any] | tuple[Any, ...]
) -> Values:
    """The candidates or the range, each value as the option's type.

    Raises BadOption or BadSearch.
    """
    if isinstance(given, tuple) and option.kind not in (int, float):
        raise BadSearch(
            name=option.name,
            reason=f"{shown(given)} is a range, but its values are not numbers",
        )
    values = [options.cast(cls, option, value) for value in given]
    if isinstance(given, list):
        if not values:
            raise BadSearch(name=option.name, reason="there is no candidate")
        return [value for n, value in enumerate(values) if value not in values[:n]]
    if len(values) != 2 or None in values or values[0] >= values[1]:
        raise BadSearch(
            name=option.name,
            reason=f"{shown(given)} is not a smaller and a larger number",
        )
    return Interval(*values)


def _first(search: Search) -> Algorithm:
    """The algorithm with the first values that go together. Raises BadOption when none do."""
    fault: BadOption | None = None
    for values in islice(product(*search.space.values()), MAX_SCANNED):
        try:
            return search.make(dict(zip(search.space, values, strict=True)))
        except BadOption as error:
            fault = fault or error
    raise fault or AssertionError("no option has no values")


def _require_one_snapshot(search: Search, first: Algorithm) -> None:
    """See to it that one snapshot of the source serves every setting. Raises BadSearch."""
    for name, values in search.space.items():
        for value in values:
            with suppress(BadOption):  # an impossible setting reads nothing
                # every algorithm is a dataclass, which its protocol cannot say
                other: Any = dataclasses.replace(first, **{name: value})  # type: ignore[type-var]
                if (other.explicit, other.ordered) != (first.explicit, first.ordered):
                    reason = (
                        "it decides how the source is read, which is done once; train with "
                        "each by itself"
                    )
                    raise BadSearch(name=name, reason=reason)


# --- the search ----------------------------------------------------------------------------------


def best(
    search: Search,
    measured: Callable[[Algorithm], float],
    run: Run,
    record: Callable[[Trial], None],
    *,
    k: int,
) -> Algorithm:
    """The algorithm with the setting whose ndcg@k, as `measured`, is best.

    `record` hears of every trial as it ends. Raises AllTrialsFailed.
    """

    def figure(setting: dict[str, Any]) -> float:
        return measured(search.make(setting))

    def attempt(number: int, setting: dict[str, Any]) -> Trial:
        run.check()
        trial = _trial(number, setting, f"ndcg@{k}", lambda: figure(setting))
        record(trial)
        return trial

    tried = list(_run_trials(search, run.seed, attempt))
    done = [trial for trial in tried if trial.value is not None]
    if not done:
        raise AllTrialsFailed(
            model=run.model_name,
            run_id=run.run_id,
            trials=len(tried),
            error=tried[0].error,
        )
    winner = max(done, key=lambda trial: trial.value or 0.0)  # of equal ones the first
    return search.make(json.loads(winner.params))


def _trial(
    number: int, setting: dict[str, Any], metric: str, measured: Callable[[], float]
) -> Trial:
    """What comes of one setting."""
    begin = time.perf_counter()
    value = None
    status = "done"
    error = None
    try:
        value = measured()
    except TRIAL_ERRORS as fault:
        status = "failed"
        error = shared(fault) or type(fault).__name__
    return Trial(
        number,
        json.dumps(setting),
        metric,
        value,
        time.perf_counter() - begin,
        status,
        error,
    )


def _run_trials(
    search: Search, seed: int, attempt: Callable[[int, dict[str, Any]], Trial]
) -> Iterator[Trial]:
    """A trial of every setting that the sampler names, until there are enough.

    Each once where there are no more.
    """
    optuna = _optuna()
    finished: dict[str, Trial] = {}
    with _quiet(optuna):
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        space = {
            name: _distribution(optuna.distributions, values)
            for name, values in search.space.items()
        }
        every = _every(search)
        for setting in every:
            study.enqueue_trial(setting)
        enough = len(every) or search.trials
        for _ in range(MAX_ASKS_PER_TRIAL * enough):
            asked = study.ask(space)
            key = json.dumps(asked.params)
            if key not in finished:  # the same setting would come to the same figure
                finished[key] = attempt(len(finished) + 1, asked.params)
                yield finished[key]
            # a failure is as bad as can be
            study.tell(asked, finished[key].value or 0.0)
            if len(finished) == enough:
                return


def _every(search: Search) -> list[dict[str, Any]]:
    """All settings there are, if that is not more than may be tried; else none."""
    columns = [_countable(values) for values in search.space.values()]
    if math.prod(map(len, columns)) > search.trials or not all(columns):
        return []
    return [
        dict(zip(search.space, setting, strict=True)) for setting in product(*columns)
    ]


def _countable(values: Values) -> Sequence[Any]:
    """The values one by one; none where they are without number."""
    if not isinstance(values, Interval):
        return values
    low, high = values
    return (
        range(low, high + 1) if isinstance(low, int) and isinstance(high, int) else ()
    )


def _distribution(kinds: Any, values: Values) -> Any:
    """The values as the sampler wants them."""
    if not isinstance(values, Interval):
        return kinds.CategoricalDistribution(values)
    kind = (
        kinds.IntDistribution
        if isinstance(values.low, int)
        else kinds.FloatDistribution
    )
    return kind(*values, log=values.logarithmic)


def _optuna() -> Any:
    """The library of the sampler. Raises MissingExtra."""
    try:
        import optuna  # here: it takes a fifth of a second, which only a search needs
    except ModuleNotFoundError:
        raise MissingExtra(
            what="searching options", package="optuna", extra="tune"
        ) from None
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without its line per trial while the block runs: trials are rows."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
