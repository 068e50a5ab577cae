"""The rules that keep one text right on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from embsql.sqlfiles.macros import ARGUMENT
from embsql.sqlfiles.questions import TYPES, Question

FUNCTIONS = {
    "abs",
    "count",
    "sum",
    "coalesce",
    "round",
    "right",
    "row_number",
    "string_agg",
    "cast",
    "case",
    "exists",
    "if",
    "greatest",
    "array_agg",
    "explode",  # unnest
    "least",
    "avg",
    "min",
    "max",
    "corr",
    "ln",
    "exp",
    "power",
    "pow",
    "md5",
    "dense_rank",
    "percentile_cont",
    "within_group",
    "nullif",
    "collate",
    "array",
}


def violations(question: Question) -> Iterator[str]:
    """What is wrong with a question, each as one sentence."""
    import sqlglot  # here, because only development and translation need it
    from sqlglot import exp

    bound = ARGUMENT.sub(r"$\1", question.body)
    tree: Any = sqlglot.parse_one(bound, read="duckdb")
    used = {node.name for node in tree.find_all(exp.Parameter, exp.Placeholder)}
    declared = {argument.name for argument in question.arguments}
    columns = {node.name for node in tree.find_all(exp.Column)}
    if used != declared:
        yield f"arguments declared {sorted(declared)} but used {sorted(used)}"
    if _tables(tree) & (columns | _aliases(tree)):
        yield (
            f"tables and columns share a name: {sorted(_tables(tree) & (columns | _aliases(tree)))}"
        )
    if declared & columns:
        yield f"arguments share a column's name: {sorted(declared & columns)}"
    if not question.scalar and tree.named_selects != [
        name for name, _ in question.columns
    ]:
        yield f"returns {tree.named_selects} but declares {[name for name, _ in question.columns]}"
    yield from (
        f"column {node.name} has no table alias"
        for node in tree.find_all(exp.Column)
        if not node.table
        and not (node.find_ancestor(exp.Order) and node.name in _aliases(tree))
    )
    yield from (
        f"ORDER BY {term.this.sql()} must say ASC or DESC: a caller may have set default_order"
        for term in unsaid_orders(tree)
    )
    yield from (
        f"function {name} is not in the portable set"
        for name in functions(tree) - FUNCTIONS
    )
    if tree.find(exp.Qualify):
        yield "QUALIFY is not portable"
    if sum(argument.free for argument in question.arguments) > 2:
        yield "more than two arguments of any type cannot be told apart in PostgreSQL"
    if any(type_ not in TYPES for _, type_ in question.columns):
        yield "a column has an unknown type"


def unsaid_orders(tree: Any) -> list[Any]:
    """The terms of ORDER BY whose direction DuckDB's default_order would decide."""
    from sqlglot import exp

    ordered = (
        term
        for term in tree.find_all(exp.Ordered)
        if not isinstance(term.parent, exp.OnConflict)
    )
    return [term for term in ordered if term.args.get("desc") is None]


def _aliases(tree: Any) -> set[str]:
    """Names an ORDER BY may use without a table: what a SELECT has just named."""
    from sqlglot import exp

    return {alias.alias for alias in tree.find_all(exp.Alias)}


def _tables(tree: Any) -> set[str]:
    """Names of the CTEs, and aliases in FROM."""
    from sqlglot import exp

    sources = tree.find_all(exp.CTE, exp.Table, exp.Subquery, exp.Lateral, exp.Values)
    return {source.alias for source in sources if source.alias}


def functions(tree: Any) -> set[str]:
    """Names of the functions called, those of the embsql schema left out (the prelude has them)."""
    from sqlglot import exp

    calls = [
        node
        for node in tree.find_all(exp.Func)
        if not isinstance(node.parent, exp.Dot)
        and not (isinstance(node.parent, exp.Table) and node.parent.db)
    ]
    names = {
        node.name.lower()
        if isinstance(node, exp.Anonymous)
        else node.sql_name().lower()
        for node in calls
    }
    return names - {"and", "or", "group_concat"}
