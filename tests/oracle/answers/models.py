"""sql/questions/models."""

from __future__ import annotations

from dataclasses import astuple

from tests.oracle.answers._common import live, newest
from tests.oracle.compare import ANY, Listed
from tests.oracle.data import Figure, Row, Run, World, by_bytes


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
    tried = sorted(newest(world, model).trials, key=lambda one: one.trial)
    chosen = [one for one in tried if one.chosen]
    done = [one for one in tried if one.status == "done" and one.value is not None]
    winner = max(done, key=lambda one: one.value or 0.0, default=None)
    winner = next(iter(chosen), winner)
    rows = []
    for one in tried:
        *begin, error, algorithm, low, high, _, reason = astuple(one)
        rows.append((*begin, one is winner, error, algorithm, low, high, reason))
    return Listed(rows)


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


# --- advice --------------------------------------------------------------------------------------


def advice(world: World, model: str) -> Listed:
    """Each reason in its order; the sentences are read in tests/sql/test_advice.py."""
    run = live(world, model)
    splits = sorted({f.split for f in run.figures if _is_main(f)}, key=by_bytes)
    rows = [*_of_the_run(world, run)]
    by_split = [[*_of_a_split(run, split)] for split in splits]
    for reason in OF_SPLITS:
        rows += [row for found in by_split for row in found if row[0] == reason]
    rows += _of_the_source(run)
    items = len(run.items)
    if run.users and items <= 20:
        rows.append(_advised("few_items", None, "items", items, "bound", 20))
    return Listed(rows or [("nothing", ANY, *(None,) * 7)])


OF_SPLITS = (
    "nothing_found",
    "below_popular",
    "below_itemknn",
    "not_above_popular",
    "not_above_itemknn",
    "few_users_asked",
    "wide_interval",
    "unknown_users",
    "tied_times",
    "tail_not_found",
    "low_coverage",
)


def _advised(
    reason: str,
    split: str | None,
    metric: str | None,
    value: float | None,
    compared_to: str | None,
    threshold: float | None,
    command: str | None = None,
    called: str | None = None,
) -> Row:
    numbers = [None if one is None else float(one) for one in (value, threshold)]
    figure = (split, metric, numbers[0], compared_to, numbers[1])
    return reason, ANY, *figure, command, called and f"SELECT * FROM embsql.{called};"


def _is_main(figure: Figure) -> bool:
    return (figure.segment, figure.metric) == ("all", "ndcg")


def _of_the_run(world: World, run: Run) -> list[Row]:
    model = world.model(run.model)
    reference = f"{run.model}@{run.run_id}"
    rows = []
    if model.live_run is None or run.run_id not in (
        model.live_run,
        *model.earlier_runs,
    ):
        called = f"promote('{reference}')"
        words = (*(None,) * 5, f"embsql promote {reference}", called)
        rows.append(_advised("not_live", *words))
    if not run.figures:
        lonely = _found(run, "users with one item") or 0
        can = run.users and lonely < len(run.users)
        reason = "not_evaluated" if run.users else "no_users"
        words = (f"embsql evaluate {reference}", f"evaluate('{reference}')")
        rows.append(_advised(reason, *(None,) * 5, *(words if can else ())))
    return rows


def _found(run: Run, name: str) -> int | None:
    """How many a line of the validation report is about."""
    return next((row[2] for row in run.findings if row[0] == name), None)


Figures = dict[tuple[str, str, int], float]  # of a split: by segment, metric and k


def _of_a_split(run: Run, split: str) -> list[Row]:
    own = [figure for figure in run.figures if figure.split == split]
    main = min((f for f in own if _is_main(f)), key=lambda figure: figure.k)
    if main.value is None:
        return []
    values = {(f.segment, f.metric, f.k): f.value for f in own if f.value is not None}
    return [
        *_against_baselines(run, main),
        *_of_who_was_asked(run, main, values),
        *_of_items_shown(run, main, values),
    ]


def _against_baselines(run: Run, main: Figure) -> list[Row]:
    other = "als" if run.algorithm == "registered" else "auto"
    rivals = {"popular": main.popular_value, "itemknn": main.itemknn_value}
    figure = (main.split, f"ndcg@{main.k}", main.value)
    rows = []
    if not main.value and not any(rivals.values()):
        rows.append(_advised("nothing_found", *figure, "bound", 0))
    high = main.value if main.ci_high is None else main.ci_high
    for name, bound in rivals.items():
        words = (*figure, name, bound, f"embsql algorithms {other}")
        if bound is not None and high < bound:
            rows.append(_advised(f"below_{name}", *words))
        known = None not in (bound, main.ci_low, main.ci_high)
        if known and bound > 0 and main.ci_low <= bound <= main.ci_high:
            rows.append(_advised(f"not_above_{name}", *words))
    return rows


def _of_who_was_asked(run: Run, main: Figure, values: Figures) -> list[Row]:
    users = values.get(("asked", "users", 0))
    if users is None:
        return []
    rows = []
    if users < 100:
        rows.append(
            _advised("few_users_asked", main.split, "users", users, "bound", 100)
        )
    elif None not in (main.ci_low, main.ci_high):
        half = (main.ci_high - main.ci_low) / 2
        words = (f"half the interval of ndcg@{main.k}", half, "a fifth of the figure")
        if half > 0.2 * main.value:
            bound = 0.2 * main.value
            rows.append(_advised("wide_interval", main.split, *words, bound))
    unknown = values.get(("asked", "users without training pairs", 0), 0)
    if unknown > 0.2 * users:
        words = ("users without training pairs", unknown, "a fifth of the users")
        rows.append(_advised("unknown_users", main.split, *words, 0.2 * users))
    tied = values.get(("asked", "tied users", 0), 0)
    is_settled = any(f.split == "random" for f in run.figures if _is_main(f))
    if tied > 0.5 * users and not is_settled:
        words = ("tied users", tied, "half of the users", 0.5 * users)
        reference = f"{run.model}@{run.run_id}"
        command = f"embsql evaluate {reference} --split random"
        options = """options => '{"split": "random"}'"""
        called = f"evaluate('{reference}', {options})"
        rows.append(_advised("tied_times", main.split, *words, command, called))
    return rows


def _of_items_shown(run: Run, main: Figure, values: Figures) -> list[Row]:
    k = main.k
    rows = []
    recall = values.get(("all", "recall", k), 0)
    tail = values.get(("items:tail", "recall", k))
    if tail is not None and tail < 0.1 * recall:
        words = (f"recall@{k}", tail, "a tenth of all items", 0.1 * recall)
        rows.append(_advised("tail_not_found", main.split, *words, "embsql algorithms"))
    users = values.get(("asked", "users", 0))
    every = users is None or not run.items
    possible = 1.0 if every else min(1, users * k / len(run.items))
    coverage = values.get(("all", "coverage", k))
    if coverage and coverage < 0.1 * possible:
        words = (f"coverage@{k}", coverage, "a tenth of the possible", 0.1 * possible)
        rows.append(_advised("low_coverage", main.split, *words))
    return rows


def _of_the_source(run: Run) -> list[Row]:
    warnings = sorted(
        (
            row
            for row in run.findings
            if row[1] in ("error", "warning") and row[4] is not None
        ),
        key=lambda row: by_bytes(row[0]),
    )
    rows = [_advised("source", None, *row[::2][:2], "bound", 0) for row in warnings]
    lonely = _found(run, "users with one item")
    half = 0.5 * len(run.users)
    if run.users and lonely is not None and lonely > half:
        words = ("users with one item", lonely, "half of the users", half)
        rows.append(_advised("one_item_users", None, *words))
    read, repeated = _found(run, "rows"), _found(run, "repeated pairs")
    if None not in (read, repeated) and repeated > 0.3 * read:
        words = ("repeated pairs", repeated, "0.3 of the rows", 0.3 * read)
        rows.append(_advised("repeated_pairs", None, *words))
    return rows
