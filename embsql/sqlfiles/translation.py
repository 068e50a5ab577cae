"""A SELECT of DuckDB's dialect in Spark's.

sqlglot translates, and drops what it knows no word for without saying so: the order within
array_agg, that a percentile is exact. So such things are written out before, and what came of the
rest is read again: it must be the same tree. Where both dialects are read into one tree though they
mean different things (len of a list is LENGTH of a text, v[-1] becomes v[-2], and pgvector's <=> is
a comparison) no tree shows it. So what a tree may be made of is listed.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from embsql.errors import InvalidQuestionFile
from embsql.sqlfiles import rules

# Spark's SQL as it is read: in Databricks' a CAST is read as one that fails, which it is
READ = "databricks"
ONE_ROW = {"subject", "given"}  # what is a single row in every question that has it
LOOKED_UP = re.compile(r"(live_run|newest_run)_of_(\w+)")
ALIKE = """
    Add Alias And Between Boolean CTE Column DPipe DataType DataTypeParam Distinct Div Dot EQ From
    GT GTE Group Having Identifier In Is Join LT LTE Lateral Limit Literal Mod Mul NEQ Neg Not Null
    Or Order Ordered Paren Select Star Sub Subquery Table TableAlias Tuple Union Values Where Window
    With WithinGroup
"""  # what is no function, and means the same in both dialects
WRITTEN = {"raise_error"}  # functions of Spark's alone, in what is written for it


def to_spark(text: str, function: str) -> str:
    """A question's SELECT, its arguments columns of `given`, as the body of a SQL function.

    Raises InvalidQuestionFile where it would say less.
    """
    tree: Any = sqlglot.parse_one(text, read="duckdb")
    if unknown := _unlike(tree):
        raise _untranslated(function, f"{unknown} may mean something else there")
    try:
        written = _written(tree, function)
    except UnsupportedError as error:
        raise _untranslated(function, str(error)) from None
    before, after = _parts(tree), _parts(sqlglot.parse_one(written, read=READ))
    if before != after:
        lost, gained = sorted(before - after), sorted(after - before)
        raise _untranslated(function, f"of {lost} it makes {gained}")
    return written


def _unlike(tree: Any) -> list[str]:
    """What stands in a tree that is not known to mean the same."""
    kinds = {
        type(node).__name__ for node in tree.walk() if not isinstance(node, exp.Func)
    }
    return sorted(
        (kinds - set(ALIKE.split()))
        | (rules.functions(tree) - rules.FUNCTIONS - WRITTEN)
    )


def _written(tree: Any, function: str) -> str:
    """The tree as Spark's SQL, after which it is that of what is written."""
    for rule in RULES:
        tree.transform(rule, copy=False)
    _rank(tree, function)
    _ask_directly(tree, function)
    written: str = tree.sql(
        "spark",
        pretty=True,
        comments=False,
        normalize_functions=False,
        unsupported_level=ErrorLevel.RAISE,
    )
    return written


def _untranslated(function: str, problem: str) -> InvalidQuestionFile:
    return InvalidQuestionFile(
        file=f"{function}.sql", problem=f"in Spark SQL: {problem}"
    )


def _parts(tree: Any) -> Counter[tuple[str, str, int]]:
    """What a tree is made of: how often which kind, name and number of parts.

    Around the terms of an order something else may stand, by the version of sqlglot.
    """
    return Counter(
        (_name(node), "", _size(node))
        if isinstance(node, exp.Func)
        else (type(node).__name__, node.name, _size(node))
        for node in tree.walk()
        if not isinstance(node, exp.Order | exp.WithinGroup)
    )


def _name(node: Any) -> str:
    named = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
    return str(named).lower()


def _size(node: Any) -> int:
    """How many arguments a function is called with, or parts there are of anything else."""
    lists = [value for value in node.args.values() if isinstance(value, list)]
    single = [
        value for value in node.args.values() if isinstance(value, exp.Expression)
    ]
    return sum(map(len, lists)) + len(single)


# --- what is written otherwise -------------------------------------------------------------------


def _without_collation(node: Any) -> Any:
    """By their bytes is how Spark compares texts."""
    return node.this if isinstance(node, exp.Collate) else node


def _not_materialized(node: Any) -> Any:
    """Spark has no word for it."""
    if isinstance(node, exp.CTE):
        node.set("materialized", None)
    return node


def _as_double(node: Any) -> Any:
    """A number with a point is a double: divided, Spark's decimals keep six digits."""
    is_number = isinstance(node, exp.Literal) and not node.is_string
    return exp.cast(node.copy(), "DOUBLE") if is_number and not node.is_int else node


def _exactly(node: Any) -> Any:
    """A percentile by a name that sqlglot makes nothing approximate of."""
    if isinstance(node, exp.PercentileCont):
        given = [one for one in (node.this, node.expression) if one]
        return exp.Anonymous(this="PERCENTILE_CONT", expressions=given)
    return node


def _in_order(node: Any) -> Any:
    """Spark's list of a group has no order: it is one of pairs, which is sorted."""
    if not isinstance(node, exp.ArrayAgg) or not isinstance(node.this, exp.Order):
        return node
    (term,) = node.this.expressions
    if term.args.get("desc"):
        raise UnsupportedError("array_agg sorts ascending alone")
    key, entry = term.this.sql("spark"), node.this.this.sql("spark")
    pairs = f"ARRAY_SORT(COLLECT_LIST(STRUCT({key} AS ordinal, {entry} AS entry)))"
    return sqlglot.parse_one(f"TRANSFORM({pairs}, one -> one.entry)", read=READ)


def _side_by_side(node: Any) -> Any:
    """Several lists as rows at once: of what makes rows, Spark takes one in a SELECT."""
    if not isinstance(node, exp.Select):
        return node
    lists = [one for one in node.expressions if isinstance(one.this, exp.Explode)]
    if len(lists) < 2:
        return node
    zipped = exp.Anonymous(
        this="ARRAYS_ZIP", expressions=[one.this.this for one in lists]
    )
    names = [exp.to_identifier(one.alias) for one in lists]
    rows = exp.Aliases(this=exp.Inline(this=zipped), expressions=names)
    others = [one for one in node.expressions if one not in lists]
    node.set("expressions", [rows, *others])
    return node


def _broadcast(node: Any) -> Any:
    """What is one row goes to every task: Spark knows no more of it than its tables' sizes."""
    joins = (node.args.get("joins") or ()) if isinstance(node, exp.Select) else ()
    for name in sorted({join.this.alias_or_name for join in joins} & ONE_ROW):
        node = node.hint(f"BROADCAST({name})", dialect="spark")
    return node


RULES = (
    _without_collation,
    _not_materialized,
    _as_double,
    _exactly,
    _in_order,
    _side_by_side,
    _broadcast,
)


# --- the first rows ------------------------------------------------------------------------------


def _rank(tree: Any, function: str) -> None:
    """Spark's LIMIT takes constants alone: in its place a condition on a row number."""
    for node in list(tree.find_all(exp.Select)):
        limit = node.args.get("limit")
        if limit is not None and isinstance(limit.expression, exp.Greatest):
            node.replace(
                _first_rows(node, exp.column(limit.expression.this.name, function))
            )


def _first_rows(node: Any, count: Any) -> Any:
    """The first rows of a SELECT in its order, as many as `count` says."""
    bare = node.copy()
    order = exp.Order(expressions=list(map(_of_listed, bare.args["order"].expressions)))
    bare.set("limit", None)
    bare.set("order", None)
    number = exp.Window(this=exp.RowNumber(), order=order)
    listed = exp.select("listed.*", exp.alias_(number, "ordinal")).from_(
        bare.subquery("listed")
    )
    names = [f"ranked.{name}" for name in node.named_selects]
    chosen = exp.select(*names).from_(listed.subquery("ranked"))
    return chosen.where(exp.LTE(this=exp.column("ordinal", "ranked"), expression=count))


def _of_listed(term: Any) -> Any:
    """A term of ORDER BY, its columns those of what is listed."""

    def renamed(node: Any) -> Any:
        return exp.column(node.name, "listed") if isinstance(node, exp.Column) else node

    return term.transform(renamed)


# --- table functions -----------------------------------------------------------------------------


def _ask_directly(tree: Any, function: str) -> None:
    """Ask table functions with the parameters themselves.

    With columns of the row they are in a call would be correlated, for which Spark may find no
    plan.
    """
    for lateral in list(tree.find_all(exp.Lateral)):
        columns = list(lateral.this.find_all(exp.Column))
        if any(column.table != "given" for column in columns):
            continue
        for column in columns:
            column.replace(_parameter(function, column.name))
        call, alias = lateral.this.sql("spark"), lateral.args["alias"].sql("spark")
        asked = exp.select("*").from_(f"{call} AS {alias}", dialect=READ)
        lateral.replace(asked.find(exp.Table))


def _parameter(function: str, name: str) -> Any:
    """What a column of the row of arguments is made of."""
    looked_up = LOOKED_UP.fullmatch(name)
    if looked_up is None:
        return exp.column(name, function)
    which, model = looked_up.groups()
    return sqlglot.parse_one(f"embsql.{which}({function}.{model})", read=READ)
