"""Pictures of answers: which picture, the columns say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.errors import MissingExtra, NoPicture
from embsql.palette import CATEGORIES, ITEM_KNN, POPULAR, REST, RUN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = Callable[[pa.Table, Any], None]

ACCURACY = ("ndcg", "recall", "hit_rate", "mrr", "map")
# by column: whose figures they are, and their color; a run's has an interval
SYSTEMS = {
    "value": ("this run", RUN),
    "itemknn_value": ("item-kNN", ITEM_KNN),
    "popular_value": ("what is popular", POPULAR),
}
MODELS = {"a": ("the first", ITEM_KNN), "b": ("the second", RUN)}
# what a picture has one of
ONE = ("model_name", "run_id", "entity", "method", "clustering")
DOTS = 5000  # points, above which each is a pixel


def picture(table: pa.Table) -> Figure:
    """The picture of an answer. Raises MissingExtra and NoPicture."""
    question, draw = _drawing(table)
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError:
        raise MissingExtra(what="plot", package="matplotlib", extra="plot") from None
    figure: Figure = pyplot.figure(layout="constrained")
    # a notebook shows what a cell returns, and would show an open one again
    pyplot.close(figure)
    try:
        draw(table, figure)
    except (pa.ArrowException, TypeError, ValueError) as error:
        what = f"an answer of {question} with other values than that question's"
        raise NoPicture(what=what, **KNOWN) from error
    return figure


def _drawing(table: pa.Table) -> tuple[str, Picture]:
    """The question that has such columns, and what draws its answers. Raises NoPicture."""
    names = set(table.column_names)
    for question, (columns, draw) in PICTURES.items():
        if columns <= names:
            if not table.num_rows:
                raise NoPicture(what=f"an answer of {question} without rows", **KNOWN)
            if (name := _mixed(table)) and question != "drift":
                what = f"an answer of {question} with more than one {name}"
                raise NoPicture(what=f"{what} (WHERE {name} = ... keeps one)", **KNOWN)
            return question, draw
    shown = ", ".join(table.column_names)
    raise NoPicture(what=f"an answer with the columns {shown}", **KNOWN)


def _mixed(table: pa.Table) -> str | None:
    """The column of a view by which rows belong on several pictures, if there is one."""
    names = (name for name in ONE if name in table.column_names)
    return next((name for name in names if len(pc.unique(table[name])) > 1), None)


def _map(table: pa.Table, figure: Figure) -> None:
    """Points, in the colors of the largest clusters."""
    axes = figure.subplots()
    x, y = (table[axis].to_numpy() for axis in "xy")  # (n,) each
    size = 9 if len(x) <= DOTS else 1
    for rows, name, color in _groups(table):
        axes.scatter(x[rows], y[rows], s=size, color=color, label=name, linewidths=0)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(title="cluster", markerscale=6 / size**0.5, bbox_to_anchor=(1, 1))
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(f"{len(x):,} points: near is alike")


def _groups(table: pa.Table) -> Iterator[tuple[Any, str | None, str]]:
    """Rows of the map that share a color: others first, then the largest clusters."""
    none = pa.nulls(len(table), pa.int32())
    codes = table["cluster_id"] if "cluster_id" in table.column_names else none
    cluster = pc.fill_null(codes, -1).to_numpy()  # (n,)
    known, counts = np.unique(cluster[cluster >= 0], return_counts=True)
    largest = known[np.argsort(-counts, kind="stable")][: len(CATEGORIES)].tolist()
    others = ~np.isin(cluster, largest)  # (n,)
    if others.any():
        yield others, "others" if largest else None, REST if largest else RUN
    for code, color in zip(largest, CATEGORIES, strict=False):
        yield cluster == code, str(code), color


def _training_log(table: pa.Table, figure: Figure) -> None:
    """A line by epoch for each metric, one above the other."""
    metrics = pc.unique(table["metric"]).to_pylist()
    grid = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)  # (metrics, 1)
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        rows = table.filter(pc.equal(table["metric"], metric)).sort_by("epoch")
        epoch, value = (rows[name].to_numpy() for name in ("epoch", "value"))  # (n,)
        axes.plot(epoch, value, color=RUN, marker=".")
        axes.set_ylabel(metric)
    grid[-1, 0].set_xlabel("epoch")
    grid[-1, 0].xaxis.get_major_locator().set_params(integer=True)


def _evaluation(table: pa.Table, figure: Figure) -> None:
    """The figures over all users, with intervals, and those of what is popular and item-kNN."""
    axes = figure.subplots()
    rows = _headline(table)
    _bars(rows, axes, SYSTEMS)
    low, value, high = (
        rows[name].to_numpy(zero_copy_only=False)
        for name in ("ci_low", "value", "ci_high")
    )
    ends = np.nan_to_num(np.stack([value - low, high - value]).astype(float))  # (2, n)
    height = np.arange(len(rows)) - _offset(0, SYSTEMS)
    axes.errorbar(value, height, xerr=ends, fmt="none", ecolor="black", capsize=2)


def _compare(table: pa.Table, figure: Figure) -> None:
    """The figures over all users of two runs."""
    _bars(_headline(table), figure.subplots(), MODELS)


def _headline(table: pa.Table) -> pa.Table:
    """The rows over all users of the first split, in the shortest lists, by metric."""
    first = pc.min(table["split"])
    known = pc.and_(
        pc.equal(table["segment"], "all"), pc.is_in(table["metric"], pa.array(ACCURACY))
    )
    rows = table.filter(pc.and_(known, pc.equal(table["split"], first)))
    rows = rows.filter(pc.equal(rows["k"], pc.min(rows["k"])))
    order = pc.index_in(rows["metric"], pa.array(ACCURACY))
    return rows.take(pc.sort_indices(order))


def _bars(rows: pa.Table, axes: Axes, systems: dict[str, tuple[str, str]]) -> None:
    """A bar of each row for each system; the first row is on top."""
    height = np.arange(len(rows))  # (n,)
    for n, (column, (name, color)) in enumerate(systems.items()):
        value = np.nan_to_num(rows[column].to_numpy(zero_copy_only=False).astype(float))
        middle = height - _offset(n, systems)
        axes.barh(middle, value, height=0.8 / len(systems), color=color, label=name)
    pairs = zip(rows["metric"].to_pylist(), rows["k"].to_pylist(), strict=True)
    axes.set_yticks(height, [f"{metric}@{k}" for metric, k in pairs])
    axes.invert_yaxis()
    axes.legend()
    axes.set_title("All users")


def _offset(n: int, systems: dict[str, tuple[str, str]]) -> float:
    """How far above the middle of its row the bar of the n-th system is."""
    return (0.5 - (n + 0.5) / len(systems)) * 0.8


def _drift(table: pa.Table, figure: Figure) -> None:
    """How many items and users moved how far."""
    axes = figure.subplots()
    kinds = [
        kind
        for kind in ("item", "user")
        if pc.any(pc.equal(table["entity"], kind)).as_py()
    ]
    shifts = [
        table.filter(pc.equal(table["entity"], kind))["shift"].to_numpy()
        for kind in kinds
    ]
    weights = [np.full(len(values), 1 / len(values)) for values in shifts]
    names = [
        f"{len(values):,} {kind}s" for kind, values in zip(kinds, shifts, strict=True)
    ]
    axes.hist(
        shifts, bins=20, weights=weights, color=CATEGORIES[: len(kinds)], label=names
    )
    axes.set_xlabel("shift: 0 did not move, 1 points elsewhere")
    axes.set_ylabel("share")
    axes.legend()


def _clusters(table: pa.Table, figure: Figure) -> None:
    """How large each group is."""
    axes = figure.subplots()
    labels = table["label"].to_pylist()
    codes = table["cluster_id"].to_pylist()
    names = [
        f"{code}: {label or ''}"[:40] for code, label in zip(codes, labels, strict=True)
    ]
    axes.barh(np.arange(len(names)), table["size"].to_numpy(), color=RUN)
    axes.set_yticks(np.arange(len(names)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("members")


# by the question that has such columns: these, and what draws them
PICTURES: dict[str, tuple[set[str], Picture]] = {
    "map": ({"entity_id", "x", "y"}, _map),
    "training_log": ({"epoch", "metric", "value"}, _training_log),
    "evaluation": (
        {"split", "segment", "metric", "k", "ci_low", "ci_high", *SYSTEMS},
        _evaluation,
    ),
    "compare": ({"split", "segment", "metric", "k", "a", "b"}, _compare),
    "drift": ({"entity", "shift"}, _drift),
    "clusters": ({"cluster_id", "size", "label"}, _clusters),
}
KNOWN = {"known": ", ".join(PICTURES)}
