"""sql/questions/models."""

from __future__ import annotations

from dataclasses import astuple

from tests.oracle.answers._common import live, newest
from tests.oracle.compare import Listed
from tests.oracle.data import Figure, Run, World, by_bytes


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
            )  # type: ignore[assignment]  # as many
        rows.append((model.name, model.live_run, ready, *facts))
    return Listed(rows)


def _headline(run: Run) -> str | None:
    """ndcg@10 over all users and that of what is popular, where both were measured."""
    figure = next((f for f in _shown(run) if (f.metric, f.k) == ("ndcg", 10)), None)
    if figure is None or None in (figure.value, figure.popular_value):
        return None
    return f"ndcg@10 {figure.value:.4f} (popular {figure.popular_value:.4f})"


def _shown(run: Run) -> list[Figure]:
    """The figures over all users; of a run measured on several splits, of the first by name."""
    split = min((figure.split for figure in run.figures), key=by_bytes, default=None)
    return [one for one in run.figures if (one.split, one.segment) == (split, "all")]


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
                run.phase if run.status == "training" else None,
                run.phase_seconds,
            )
        )
    return Listed(rows)


def _summary(run: Run) -> str | None:
    """ndcg and recall, in words."""
    found = [
        f for f in _shown(run) if f.metric in ("ndcg", "recall") and f.value is not None
    ]
    found.sort(key=lambda f: (f.k, f.metric))
    return ", ".join(f"{f.metric}@{f.k} {f.value:.4f}" for f in found) or None


def training_log(world: World, model: str) -> Listed:
    rows = sorted(newest(world, model).log, key=lambda row: (by_bytes(row[1]), row[0]))
    return Listed(list(rows))


def trials(world: World, model: str) -> Listed:
    tried = newest(world, model).trials
    best = max((trial[3] for trial in tried if trial[3] is not None), default=None)
    winner = min(
        (trial[0] for trial in tried if trial[3] == best and best is not None),
        default=None,
    )
    return Listed(
        [(*trial[:6], trial[0] == winner, trial[6]) for trial in sorted(tried)]
    )


def validation(world: World, model: str) -> Listed:
    order = ("error", "warning", "info", "ok")
    return Listed(
        sorted(
            newest(world, model).findings,
            key=lambda row: (order.index(row[1]), by_bytes(row[0])),
        )
    )


def evaluation(world: World, model: str) -> Listed:
    figures = sorted(
        live(world, model).figures, key=lambda f: (f.split, f.segment, f.metric, f.k)
    )
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


def compare(world: World, model_a: str, model_b: str) -> Listed:
    ours = {_key(figure): figure.value for figure in live(world, model_a).figures}
    theirs = {_key(figure): figure.value for figure in live(world, model_b).figures}
    rows = []
    for key in sorted(ours.keys() & theirs.keys()):
        split, segment, metric, k = key
        a, b = ours[key], theirs[key]
        rows.append(
            (metric, k, segment, a, b, None if a is None or b is None else b - a, split)
        )
    return Listed(rows)


def _key(figure: Figure) -> tuple[str, str, str, int]:
    """What figures of two runs are put side by side by, and their order."""
    return figure.split, figure.segment, figure.metric, figure.k


def gate(world: World, model: str) -> Listed:
    asked = newest(world, model)
    runs = [asked] if "@" in model else world.runs_of(asked.model)
    return Listed([(run.run_id, *astuple(run.gate)) for run in runs if run.gate])


def freshness(world: World, model: str) -> Listed:
    """Nothing is watched in these worlds: that run, and zeros."""
    run = live(world, model)
    return Listed(
        [(run.run_id, run.finished_at, None, None, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0)]
    )
