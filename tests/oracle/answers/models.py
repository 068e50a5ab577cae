"""sql/questions/models."""

from __future__ import annotations

from tests.oracle.answers._common import live, newest
from tests.oracle.compare import ANY, Entry, Listed, Ranked
from tests.oracle.data import Run, World, by_bytes


def models(world: World) -> Listed:
    rows = []
    for model in sorted(world.models, key=lambda model: by_bytes(model.name)):
        runs = world.runs_of(model.name)
        ready = sum(run.status == "ready" for run in runs)
        run = next((run for run in runs if run.run_id == model.live_run), None)
        facts = (None,) * 6
        if run:
            facts = (
                run.algorithm,
                run.dim,
                len(run.users),
                len(run.items),
                run.finished_at,
                _headline(run),
            )  # type: ignore[assignment] - as many
        rows.append((model.name, model.live_run, ready, *facts))
    return Listed(rows)


def _headline(run: Run) -> object:
    """The figures of one evaluation; which of several is not said."""
    found = [f for f in run.figures if (f.metric, f.k, f.segment) == ("ndcg", 10, "all")]
    if len(found) != 1:
        return ANY if found else None
    value, popular = found[0].value, found[0].popular_value
    return (
        None if value is None or popular is None else f"ndcg@10 {value:.4f} (popular {popular:.4f})"
    )


def runs(world: World, model: str) -> Listed:
    asked = newest(world, model)
    known = world.model(asked.model)
    rows = []
    for run in world.runs_of(asked.model):
        status = run.status
        if known and run.run_id == known.live_run:
            status = "live"
        elif known and run.run_id in known.earlier_runs:
            status = "retired"
        rows.append(
            (
                run.run_id,
                status,
                run.algorithm,
                run.params,
                _summary(run),
                run.started_at,
                run.finished_at,
                run.error,
            )
        )
    return Listed(rows)


def _summary(run: Run) -> object:
    """ndcg and recall over all users, of one evaluation; which of several is not said."""
    found = [
        f
        for f in run.figures
        if f.metric in ("ndcg", "recall") and f.segment == "all" and f.value is not None
    ]
    if len({f.split for f in found}) > 1:
        return ANY
    found.sort(key=lambda f: (f.k, f.metric))
    return ", ".join(f"{f.metric}@{f.k} {f.value:.4f}" for f in found) or None


def training_log(world: World, model: str) -> Listed:
    rows = sorted(newest(world, model).log, key=lambda row: (by_bytes(row[1]), row[0]))
    return Listed(list(rows))


def trials(world: World, model: str) -> Listed:
    tried = newest(world, model).trials
    best = max((trial[3] for trial in tried if trial[3] is not None), default=None)
    winner = min(
        (trial[0] for trial in tried if trial[3] == best and best is not None), default=None
    )
    return Listed([(*trial[:6], trial[0] == winner, trial[6]) for trial in sorted(tried)])


def validation(world: World, model: str) -> Listed:
    order = ("error", "warning", "info", "ok")
    return Listed(
        sorted(
            newest(world, model).findings, key=lambda row: (order.index(row[1]), by_bytes(row[0]))
        )
    )


def evaluation(world: World, model: str) -> Listed:
    figures = sorted(live(world, model).figures, key=lambda f: (f.split, f.segment, f.metric, f.k))
    return Listed(
        [
            (
                f.split,
                f.segment,
                f.metric,
                f.k,
                f.value,
                f.ci_low,
                f.ci_high,
                f.popular_value,
                f.itemknn_value,
            )
            for f in figures
        ]
    )


def compare(world: World, model_a: str, model_b: str) -> Ranked:
    theirs = {(f.segment, f.metric, f.k, f.split): f for f in live(world, model_b).figures}
    ours = {(f.segment, f.metric, f.k, f.split): f for f in live(world, model_a).figures}
    order = sorted({key[:3] for key in ours})  # figures of several splits stand beside each other
    entries = []
    for key in ours.keys() & theirs.keys():
        a, b = ours[key].value, theirs[key].value
        row = key[1], key[2], key[0], a, b, None if a is None or b is None else b - a
        entries.append(Entry(row, -float(order.index(key[:3])), key, ()))
    return Ranked(entries, None)
