"""BigQuery ML's statements: CREATE MODEL and DROP MODEL, and its functions ML.* in any other SQL.

    CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name OPTIONS(key = value, ...) AS SELECT ...
    DROP MODEL [IF EXISTS] name
    SELECT ... FROM ML.RECOMMEND(MODEL name, (SELECT ...))

Only the head of a statement is read. A SELECT is kept letter by letter: it is the database's own
SQL, not BigQuery's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from embsql import algorithms, options
from embsql.api.lexing import GAP, Reader, with_names_in_quotes, without_end
from embsql.command_options import Train
from embsql.errors import (
    BadDrop,
    BadHparam,
    BadSearch,
    BadStatement,
    EmbsqlError,
    InvalidArgument,
    MissingColumn,
)
from embsql.lifecycle.registry import check_name

ALIASES = {  # BigQuery ML's word -> ours
    "num_factors": "dim",
    "l2_reg": "reg",
    "wals_alpha": "alpha",
    "max_iterations": "epochs",
    "learn_rate": "lr",
    "num_trials": "n_trials",
    "rating_col": "weight_col",
    "feedback_type": "feedback",
}
SAME = {"data_split_method": "split"}  # says what ours says, in other values
THERE = {ours: theirs for theirs, ours in ALIASES.items()}
ALGORITHMS = {"matrix_factorization": "als", "pca": "svd"}
SPLITS = {"auto_split": "auto", "random": "random", "seq": "time", "no_split": None}
# change how long it takes, not what is asked for
COMMON = ("early_stop", "min_rel_progress", "max_parallel_trials")
ABSENT = {  # what BigQuery ML has and we have not -> what to do
    "data_split_col": (
        "choose what is held out with data_split_method = 'seq', 'random' or 'auto_split'"
    ),
    "data_split_eval_fraction": "leave it out: a fifth is held out, or each user's last",
    "data_split_test_fraction": "leave it out: trials are compared on a part of what they train on",
    "hparam_tuning_algorithm": (
        "leave it out: there is one, and it tries every setting where there are no more"
    ),
    "hparam_tuning_objectives": "leave it out: trials are compared by ndcg",
    "model_registry": "leave it out: embsql.runs() is the registry",
    "kms_key_name": "leave it out: the database decides how its files are stored",
}
# what l2_reg means there: the same pull on every row, 1 where it is left out
PLAIN_REG = {"reg": 1.0, "reg_exponent": 0.0}
PLAIN_ALPHA = 40.0  # what wals_alpha is there where it is left out

START = re.compile(
    rf"{GAP}*(?:CREATE{GAP}+(?:OR{GAP}+REPLACE{GAP}+)?|DROP{GAP}+)MODEL\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class CreateModel:
    """What a CREATE MODEL statement asks for."""

    replace: bool  # OR REPLACE: train again when the model exists
    optional: bool  # IF NOT EXISTS: do nothing when it does
    model_name: str
    source: str
    algorithm: str
    options: dict[str, Any]  # for `Database.train`
    words: dict[str, str]  # our name of an option -> the statement's
    as_there: bool  # a model type of BigQuery ML: what is left out has the default it has there

    def with_columns(self, names: list[str]) -> dict[str, Any]:
        """The options for a source with BigQuery ML's columns user, item and rating.

        Raises BadStatement for explicit feedback without ratings.
        """
        found, wanted = {name.lower() for name in names}, dict(self.options)
        for option, there, here in (
            ("user_col", "user", "user_id"),
            ("item_col", "item", "item_id"),
        ):
            if there in found and here not in found:
                wanted.setdefault(option, there)
        if "rating" in found:
            wanted.setdefault("weight_col", "rating")
        if (
            wanted["feedback"] == "explicit"
            and "weight_col" not in wanted
            and "weight" not in found
        ):
            raise BadStatement(reason=NO_RATING)
        return wanted

    @property
    def measures_if_it_can(self) -> bool:
        """Whether it is measured by BigQuery's default, which leaves little data unmeasured."""
        return self.as_there and not {"data_split_method", "evaluate"} & set(
            self.words.values()
        )

    def in_its_words(self, error: EmbsqlError) -> EmbsqlError:
        """The error about an option under the name that the statement gives it, or would."""
        if not isinstance(error, InvalidArgument | BadSearch | MissingColumn):
            return error
        words = {
            key: self._in_words(str(error.values[key]))
            for key in ("name", "option", "allowed")
            if key in error.values
        }
        kind: type[EmbsqlError] = (
            BadHparam if isinstance(error, BadSearch) else type(error)
        )
        return kind(**error.values | words)

    def _in_words(self, text: str) -> str:
        """A text with options, and algorithm auto, as the statement has them, or would."""
        is_theirs = self.as_there or any(
            name in ALIASES for name in self.words.values()
        )
        names = (THERE if is_theirs else {}) | self.words
        typed = re.sub(r"\w+", lambda found: names.get(found[0], found[0]), text)
        return typed.replace("algorithm auto", "model_type = 'auto'")


@dataclass(frozen=True, slots=True)
class DropModelStatement:
    """What a DROP MODEL statement asks for."""

    model_name: str
    if_exists: bool


NO_RATING = (
    "feedback_type is explicit where it is left out, and the SELECT gives no column "
    "rating. Name the ratings with "
    "rating_col, or set feedback_type = 'implicit'"
)


def parse(statement: str) -> CreateModel | DropModelStatement | None:
    """What a CREATE MODEL or DROP MODEL statement asks for; None for any other SQL.

    Raises BadStatement.
    """
    if not START.match(statement):
        return None
    reader = Reader(statement)
    return _drop(reader) if reader.skip("DROP") else _create(reader)


def _drop(reader: Reader) -> DropModelStatement:
    """Raises BadDrop."""
    try:
        return _dropped(reader)
    except BadStatement as error:
        raise BadDrop(**error.values) from None


def _dropped(reader: Reader) -> DropModelStatement:
    reader.expect("MODEL")
    if_exists = reader.skip("IF", "EXISTS")
    name = reader.model()
    reader.skip(";")
    if reader.peek():
        raise BadStatement(reason=f"expected the end, found {reader.found()}")
    return DropModelStatement(check_name(name), if_exists)


def _create(reader: Reader) -> CreateModel:
    reader.expect("CREATE")
    replace = reader.skip("OR", "REPLACE")
    reader.expect("MODEL")
    optional = reader.skip("IF", "NOT", "EXISTS")
    name = check_name(reader.model())
    if reader.skip("TRANSFORM"):
        raise BadStatement(
            reason="TRANSFORM has no counterpart here; write its expressions in the SELECT"
        )
    given = _options(reader)
    reader.expect("AS")
    source = with_names_in_quotes(without_end(reader.rest()))
    if not source:
        raise BadStatement(reason="expected a SELECT after AS, found nothing")
    return CreateModel(replace, optional, name, source, *_translated(given))


def _options(reader: Reader) -> dict[str, Any]:
    """OPTIONS(key = value, ...), or nothing."""
    given: dict[str, Any] = {}
    if not reader.skip("OPTIONS"):
        return given
    reader.expect("(")
    while not reader.skip(")"):
        key = reader.word("an option").lower()
        if key in given:
            raise BadStatement(reason=f"option {key} is given twice")
        reader.expect("=")
        given[key] = reader.value()
        if not reader.skip(",") and not reader.sees(")"):
            raise BadStatement(
                reason=f"expected , or ) after option {key}, found {reader.found()}"
            )
    return given


# --- what options mean ---------------------------------------------------------------------------


def _translated(
    given: dict[str, Any],
) -> tuple[str, dict[str, Any], dict[str, str], bool]:
    """The algorithm, its and training's options, and the statement's names of them.

    And whether the model's type is BigQuery's.

    Raises BadStatement, UnknownAlgorithm and UnknownOption.
    """
    named = "model_type" if "model_type" in given else "algorithm"
    model_type = given.pop(named, "matrix_factorization")
    as_there = (
        isinstance(model_type, str) and model_type.lower() == "matrix_factorization"
    )
    algorithm = (
        ALGORITHMS.get(model_type.lower(), model_type.lower())
        if isinstance(model_type, str)
        else model_type
    )
    _check_names(algorithm, given)
    _check_once(given)
    words = {ALIASES.get(name, name): name for name in given}
    ours = {
        ALIASES.get(name, name): value
        for name, value in given.items()
        if name not in COMMON
    }
    method = ours.pop("data_split_method", "auto_split" if as_there else "no_split")
    if as_there:
        _as_there(ours, given)
    return algorithm, _split(method) | ours, words, as_there


def _check_names(algorithm: str, given: dict[str, Any]) -> None:
    """Raise BadStatement for what is BigQuery's alone, and UnknownOption for what is nobody's."""
    for name in given:
        if name in ABSENT:
            raise BadStatement(reason=f"{name} has no counterpart here; {ABSENT[name]}")
    cls = algorithms.manual(algorithm)
    own = [option.name for kind in (cls, Train) for option in options.declared(kind)]
    named_there = [there for there, ours in ALIASES.items() if ours in own]
    refused = algorithms.refused_with(algorithm)
    options.check_names(
        cls,
        given,
        [*named_there, *own, *COMMON, "data_split_method"],
        [*refused, *(THERE[name] for name in refused if name in THERE)],
    )


def _check_once(given: dict[str, Any]) -> None:
    """Raise BadStatement for one option under two names, of which one value would be lost."""
    known: dict[str, str] = {}
    for name in given:
        first = known.setdefault(SAME.get(name, ALIASES.get(name, name)), name)
        if first != name:
            raise BadStatement(
                reason=f"{first} and {name} are two names of one option; give it once"
            )


def _split(method: Any) -> dict[str, Any]:
    """How it is measured.

    CREATE MODEL makes a model whatever is measured, unless `gate` is said.
    """
    if not isinstance(method, str) or method.lower() not in SPLITS:
        reason = (
            f"data_split_method must be one of {', '.join(SPLITS)}, found "
            f"{options.shown(method)}"
        )
        raise BadStatement(reason=reason)
    split = SPLITS[method.lower()]
    return {"split": split, "evaluate": True, "gate": False} if split else {}


def _as_there(ours: dict[str, Any], given: dict[str, Any]) -> None:
    """Add what BigQuery ML takes for matrix factorization where an option is left out."""
    feedback = ours.setdefault("feedback", "explicit")
    if "l2_reg" in given or "wals_alpha" in given:
        for name, value in PLAIN_REG.items():
            ours.setdefault(name, value)
        if (
            isinstance(feedback, str)
            and feedback.lower() == "implicit"
            and "unobserved_weight" not in given
        ):
            ours.setdefault("alpha", PLAIN_ALPHA)
