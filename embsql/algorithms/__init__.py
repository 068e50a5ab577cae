"""What can be trained: one algorithm, one file, named after it.

An algorithm is a frozen dataclass marked `@algorithm`. Its fields are its options (the comment
behind or above a field is the option's reason), its docstring is the manual, `fit` is the
mathematics. Everything else (command line, dbt options, reference pages, checking of values) is
read from the class, by embsql.options.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from embsql import options
from embsql.command_options import Auto, Train
from embsql.errors import UnknownAlgorithm, suggestion

if TYPE_CHECKING:
    from embsql.data import Embeddings, Interactions
    from embsql.factorization.blocks import BlockEmbeddings, BlockInteractions
    from embsql.run import Run


class Algorithm(Protocol):
    """Anything that turns interactions into embeddings."""

    name: ClassVar[str]
    ordered: ClassVar[bool]  # whether `fit` wants the events behind the pairs
    # whether features are columns of any type, which the report then tells of
    encodes: ClassVar[bool]
    # whether a training that was killed can go on from a checkpoint: what nn.trainer trains
    resumes: ClassVar[bool]

    # whether it can go on from the vectors of an earlier run
    warm_starts: ClassVar[bool]

    on_gpu: ClassVar[bool]  # whether it can train on one
    in_spark: ClassVar[
        bool
    ]  # whether it has `fit_blocks`, which trains on what lies there
    sides: ClassVar[tuple[str, ...]]  # side inputs that it can learn from

    @property
    def cold_start(self) -> tuple[str, ...]:
        """The features that alone give a user or an item a vector."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The side inputs that it learns from with these options."""

    @property
    def epochs(self) -> int:
        """Passes over the data, as many as `run.report` will be called."""

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings to predict (may be zero or negative) rather than evidence."""

    def defaults(self, data: Interactions, run: Run) -> dict[str, Any]:
        """The options that are left to the data, with the values that `fit` gives them."""

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data."""


class InBlocks(Algorithm, Protocol):
    """An algorithm that also trains on interactions that lie elsewhere, in blocks."""

    def defaults_in_blocks(self, data: BlockInteractions) -> dict[str, Any]:
        """As `defaults`, with the values that `fit_blocks` gives them."""

    def fit_blocks(self, data: BlockInteractions, run: Run) -> BlockEmbeddings:
        """Train on the data, of which no row comes here."""


Class = TypeVar("Class", bound=type[Any])


def algorithm(cls: Class) -> Class:
    """Mark a frozen dataclass as the algorithm that its file is named after."""
    cls.name = cls.__module__.rpartition(".")[2]
    cls.ordered = getattr(cls, "ordered", False)
    cls.encodes = getattr(cls, "encodes", False)
    cls.resumes = getattr(cls, "resumes", False)
    cls.warm_starts = getattr(cls, "warm_starts", False)
    cls.on_gpu = getattr(cls, "on_gpu", False)
    cls.in_spark = getattr(cls, "in_spark", False)
    cls.sides = getattr(cls, "sides", ())
    cls.cold_start = getattr(cls, "cold_start", ())
    cls.explicit = getattr(cls, "explicit", False)
    cls.defaults = getattr(cls, "defaults", lambda _made, _data, _run: {})
    cls.defaults_in_blocks = getattr(cls, "defaults_in_blocks", lambda _made, _data: {})
    cls.inputs = getattr(cls, "inputs", property(lambda made: made.sides))
    return cls


def names() -> list[str]:
    """The algorithms there are, by name."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg
    )


def find(name: str) -> type[Any]:
    """The class of an algorithm. Raises UnknownAlgorithm."""
    known = [*names(), Auto.name]
    if name not in names():
        raise UnknownAlgorithm(
            name=options.word(name),
            suggestion=suggestion(name, known),
            known=", ".join(known),
        )
    module = importlib.import_module(f"{__name__}.{name}")
    return next(
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and hasattr(value, "fit")
    )


def manual(name: str) -> type[Any]:
    """The class whose fields are the options of an algorithm, or of auto, which chooses one."""
    return Auto if name == Auto.name else find(name)


def make(name: str, values: Mapping[str, Any]) -> Algorithm:
    """An algorithm with these option values.

    Raises UnknownAlgorithm, UnknownOption or BadOption.
    """
    made: Algorithm = options.construct(find(name), values)
    return made


def readers(option: str) -> str:
    """The algorithms that can learn from a side input, as a sentence ends."""
    able = [name for name in names() if option in find(name).sides]
    return f"{' and '.join(able)} {'do' if len(able) > 1 else 'does'}"


def warm_starters() -> str:
    """The algorithms that can go on from the vectors of an earlier run, in words."""
    *others, last = [name for name in names() if find(name).warm_starts]
    return f"{', '.join(others)} and {last}"


def check_option_names(algorithm: str, given: Iterable[str]) -> None:
    """Raise UnknownOption for the first name that is no option of training or the algorithm."""
    own = [option.name for option in options.declared(manual(algorithm))]
    common = [option.name for option in options.declared(Train)]
    refused = refused_with(algorithm)
    options.check_names(manual(algorithm), given, own + common, refused)


def refused_with(algorithm: str) -> tuple[str, ...]:
    """The options of training that do not go with an algorithm, or with auto."""
    return Auto.without if algorithm == Auto.name else Auto.only
