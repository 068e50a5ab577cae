"""Everything that decides what a run will be, and what decided a finished one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.command_options import Auto
from embsql.engines import Engine
from embsql.errors import InvalidArgument, MissingExtra, NoGpu, NotEvaluated
from embsql.lifecycle import search as tune
from embsql.lifecycle.candidates import Choosing
from embsql.options import shown
from embsql.run import Columns, Own, usable_cores
from embsql.sources.source import Source, recorded
from embsql.sqlfiles import files

# what a plan may name besides the source
SIDE_INPUTS = ("user_features", "item_features", "graph")
# in a run's params: the options that were left out, with the values that its data gave them
DEFAULTS = "defaults"
IN_MEMORY = (
    "its {option} were a table in memory, which is gone; say evaluate=True when it is "
    "trained"
)
FORGOTTEN = (
    "its {option} named somebody who was forgotten, and were not kept;"
    " give a test of your own, or train it again with evaluate=True"
)
MEASURED_LATER = "evaluate(model, test=...) asks what was trained there"
BY_TIME = "by time measures evaluate(model, test=...), on what a SELECT finds after an instant"
NAMED = "a SELECT or a name; df.createOrReplaceTempView('orders') gives a DataFrame one"
RANKS = (10, 20)
TOLERANCE = 0.05
SOMEBODYS = (
    "its features or graph are SELECTs that somebody else wrote, and would run with your rights;"
    " give a test of your own, or train it again with evaluate=True"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what a run will be."""

    model_name: str
    source: Source
    algorithm: Algorithm
    columns: Columns = field(default_factory=Columns)
    seed: int = 42
    threads: int = field(default_factory=usable_cores)
    device: str = "cpu"
    evaluate: bool = False
    k: tuple[int, ...] = RANKS
    split: str = "auto"
    # user_id and item_id of pairs to measure on, in place of a part
    test: Source | None = None
    repeats: bool = False  # whether to ask again for what was known
    gate: bool = True
    gate_tolerance: float = TOLERANCE
    force: bool = False
    user_features: Source | None = None  # a SELECT of user_id and what is known of each
    item_features: Source | None = None  # a SELECT of item_id and what is known of each
    # a SELECT of source_node, target_node (items), perhaps weight
    graph: Source | None = None
    warm_start: bool = False
    # a folder where a killed training leaves how far it came
    checkpoint_dir: str | None = None
    # options still to be found; algorithm has their first values
    search: tune.Search | None = None
    # an algorithm still to be chosen; algorithm is the simplest candidate
    choosing: Choosing | None = None
    # what was asked when the algorithm was chosen, and a warning
    choice: Mapping[str, Any] | None = None
    # makes maps and clusters of the run that is to be live
    derive: Callable[[Engine, str], None] | None = None
    keep: int | None = None  # earlier runs that the model keeps from now on
    search_cells: bool = False  # whether its questions read a part of many vectors

    def __post_init__(self) -> None:
        """Refuse options that do not go together. Raises InvalidArgument."""
        keeps = self.checkpoint_dir is None or self.algorithm.resumes
        allowed = {
            "test": (
                self.test is None or self.evaluate,
                "given together with evaluate",
            ),
            "warm_start": (
                not (self.warm_start and self.search),
                "false with n_trials, whose trials start afresh",
            ),
            "checkpoint_dir": (
                keeps,
                f"left out: {self.algorithm.name} has no networks to train and keeps none",
            ),
        }
        for name, (fine, words) in {
            **allowed,
            **self._measuring,
            **self._training,
        }.items():
            if not fine:
                raise InvalidArgument(
                    name=name, allowed=words, value=shown(str(getattr(self, name)))
                )

    def check_machine(self) -> None:
        """Refuse what cannot be trained here. Raises MissingExtra and NoGpu."""
        on_gpu = self.device == "cuda"
        if (self.algorithm.resumes or on_gpu) and find_spec("torch") is None:
            what = (
                self.algorithm.name if self.algorithm.resumes else "training on a GPU"
            )
            raise MissingExtra(what=what, package="torch", extra="torch")
        if not on_gpu:
            return
        from embsql.factorization.torch import has_gpu  # here: torch is slow to import

        if not has_gpu():
            raise NoGpu

    @property
    def _measuring(self) -> dict[str, tuple[bool, str]]:
        """Whether what says how to measure goes with measuring, and what is allowed."""
        searches = bool(self.search or self.choosing or self.choice)
        cuts = searches or self.evaluate
        only = "given together with evaluate"
        if self.evaluate and self.test and not searches:
            split = (
                self.split in ("auto", "next"),
                "left out with test, whose pairs are what is asked, or next where it has sessions",
            )
        else:
            split = (self.split == "auto" or cuts, f"{only} or n_trials")
        return {
            "k": (cuts or self.k == RANKS, f"{only} or n_trials"),
            "split": split,
            "repeats": (cuts or not self.repeats, f"{only} or n_trials"),
            "gate": (self.evaluate or self.gate, only),
            "gate_tolerance": (
                (self.evaluate and self.gate) or self.gate_tolerance == TOLERANCE,
                f"{only} and gate",
            ),
        }

    @property
    def _training(self) -> dict[str, tuple[bool, str]]:
        """Whether the algorithm reads what is given besides the source, where it is to train."""
        algorithm = self.algorithm
        checks = self._in_spark if self.device == "spark" else {}
        if self.device == "cuda" and not algorithm.on_gpu:
            words = _unable(algorithm, "on_gpu", "which trains nowhere else")
            checks["device"] = (False, f"cpu with {words}")
        if self.warm_start and not algorithm.warm_starts:
            able = f"{algorithms.warm_starters()} go on from the live run's vectors"
            words = _unable(algorithm, "warm_starts", f"which starts afresh; {able}")
            checks["warm_start"] = (False, f"false with {words}")
        for name in () if self.choosing else SIDE_INPUTS:
            if getattr(self, name) and name not in algorithm.inputs:
                checks[name] = (False, f"left out: {_unread(algorithm, name)}")
        return checks

    @property
    def _in_spark(self) -> dict[str, tuple[bool, str]]:
        """Whether what is wanted can be done where a source lies in Spark, and what is allowed."""
        able = [name for name in algorithms.names() if algorithms.find(name).in_spark]
        others = (
            f"cpu with {self.algorithm.name}; {' and '.join(able)} are trained in Spark"
        )
        rules = (
            ("device", self.algorithm.in_spark, others),
            ("test", self.test is None, f"left out in Spark; {MEASURED_LATER}"),
            (
                "split",
                not self.cuts_events,
                f"auto, last or random in Spark; {BY_TIME}",
            ),
            ("source", isinstance(self.source, str), NAMED),
        )
        return {option: (False, words) for option, fine, words in rules if not fine}

    @property
    def params(self) -> dict[str, Any]:
        """The algorithm's options, and where features and graph came from, as written into the run.

        Of options still to be found, what decides which they will be.
        """
        if self.choosing:
            return self.selects | {"search": dict(self.choosing.asked)}
        own = dataclasses.asdict(self.algorithm)  # type: ignore[call-overload]  # it is a dataclass
        options: dict[str, Any] = own | self.selects
        if self.search:
            space = self.search.space
            options = {
                name: value for name, value in options.items() if name not in space
            }
            way = {
                "metric": f"ndcg@{self.headline}",
                "split": self.split,
                "evaluate": self.evaluate,
            }
            options["search"] = (
                self.search.asked | way | ({"repeats": True} if self.repeats else {})
            )
        if self.choice:
            options["search"] = dict(self.choice)
        return options

    @property
    def algorithm_name(self) -> str:
        """Of the algorithm, or auto where it is still to be chosen."""
        return Auto.name if self.choosing else self.algorithm.name

    @property
    def reads_events(self) -> bool:
        """Whether the events behind the pairs are read."""
        return self.algorithm.ordered or self.cuts_events or bool(self.choosing)

    def resolved(self, algorithm: Algorithm, **fields: Any) -> Plan:
        """The plan with an algorithm that was found.

        How that cut the pairs is over, unless the run is measured so; what it does not read is left
        out where it was chosen among others.
        """
        if self.choosing:
            unread = [name for name in SIDE_INPUTS if name not in algorithm.inputs]
            fields |= dict.fromkeys(unread)
        return dataclasses.replace(
            self,
            algorithm=algorithm,
            search=None,
            choosing=None,
            k=self.k if self.evaluate else RANKS,
            split=self.split if self.evaluate and not self.test else "auto",
            repeats=self.repeats and self.evaluate,
            **fields,
        )

    @property
    def selects(self) -> dict[str, str | dict[str, str]]:
        """What the run remembers of the sources of what is known of users and items, by name."""
        return {
            name: recorded(getattr(self, name))
            for name in SIDE_INPUTS
            if getattr(self, name)
        }

    @property
    def cuts_events(self) -> bool:
        """Whether something is held out by time, for which the events behind the pairs are read."""
        return self.split in ("time", "next") and bool(
            self.search or self.choosing or (self.evaluate and not self.test)
        )

    @property
    def headline(self) -> int:
        """The k of the one figure that decides."""
        return headline_of(self.k)


def headline_of(k: tuple[int, ...]) -> int:
    """The k of the one figure that decides, of several."""
    return 10 if 10 in k else k[0]


def _unable(algorithm: Algorithm, attribute: str, otherwise: str) -> str:
    """An algorithm that cannot do something, with these options or `otherwise`."""
    if isinstance(getattr(type(algorithm), attribute), property):
        return f"{algorithm.name} and these options; {_see(algorithm)}"
    return f"{algorithm.name}, {otherwise}"


def _unread(algorithm: Algorithm, name: str) -> str:
    """That an algorithm does not read a side input, and which do, or would with other options."""
    if name in algorithm.sides:
        return (
            f"{algorithm.name} does not read it with these options; {_see(algorithm)}"
        )
    return f"{algorithm.name} does not read it, {algorithms.readers(name)}"


def _see(algorithm: Algorithm) -> str:
    """Where its options are."""
    return f"see embsql algorithms {algorithm.name}"


def own_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The algorithm's own options, of all that a run's params hold, as they were asked for.

    What a search found is among them; what was left to the run's data is not.
    """
    others = (*SIDE_INPUTS, "search", DEFAULTS)
    return {name: value for name, value in params.items() if name not in others}


def plan_of(engine: Engine, record: dict[str, Any], **wanted: Any) -> Plan:
    """A plan to train a finished run's algorithm anew, on the run's own interactions.

    It has the run's options; `wanted` are fields of the plan. Raises NotEvaluated where a side
    input was a table in memory.
    """
    params = json.loads(record["params"])
    search = params.get("search", {})
    choice = search if search.get("algorithm") == Auto.name else None
    algorithm = algorithms.make(record["algorithm"], own_options(params))
    sources = {
        name: params[name]
        for name in SIDE_INPUTS
        if name in params and name in algorithm.inputs
    }
    for option, source in sources.items():
        if not isinstance(source, str):
            reason = (FORGOTTEN if "forgotten" in source else IN_MEMORY).format(
                option=option
            )
            raise NotEvaluated(
                name=f"{record['model_name']}@{record['run_id']}", reason=reason
            )
    statements = files.statements(engine=engine.name)
    run_id = int(record["run_id"])
    if sources and not engine.ask(statements["is_own"], run_id=run_id).num_rows:
        raise NotEvaluated(name=f"{record['model_name']}@{run_id}", reason=SOMEBODYS)
    run_source = statements["run_source"]
    source = Own(run_source.replace("$run_id", str(run_id)))
    return Plan(
        record["model_name"],
        source,
        algorithm,
        seed=record["seed"],
        choice=choice,
        **sources,
        **wanted,
    )
