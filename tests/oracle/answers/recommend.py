"""sql/questions/recommend."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tests.oracle.answers._common import cosine, k_of, live, of_each, ranking
from tests.oracle.compare import ANY, SOLVED, Entry, Listed, Ranked, Refused, Value
from tests.oracle.data import Part, Run, Tower, Vector, World

Ids = list[str | None] | None
HUGE = 3e38  # beyond it float32 has no numbers


def pair_score(run: Run, user: Vector, item: Vector) -> float | None:
    """The run's own score: the dot product and the biases, or the cosine."""
    if run.similarity == "cosine":
        return cosine(user.embedding, item.embedding)
    return float(user.embedding @ item.embedding + user.bias + item.bias)


def score(
    world: World, model: str, for_user: str | None, for_item: str | None
) -> Value:
    run = live(world, model)
    if for_user not in run.users or for_item not in run.items:
        return Value(None)
    return Value(pair_score(run, run.users[for_user], run.items[for_item]))


def _best_items(
    run: Run,
    user: Vector | None,
    source: str,
    k: int | None,
    without: Any = (),
    among: Ids = None,
    *,
    folded: bool = False,
) -> Ranked:
    """The best items for a user's vector; the most popular where there is none of use."""
    known = user is not None and (run.similarity == "dot" or user.norm > 0)
    items = {
        one: item
        for one, item in run.items.items()
        if one not in without and (among is None or one in among)
    }
    if known:
        scores = [(one, pair_score(run, user, item)) for one, item in items.items()]
        exact = (run.similarity == "dot" or run.exact) and not folded
        entries = ranking(items, scores, source, exact=exact)
        return Ranked(entries, k_of(k), SOLVED if folded else Ranked.tolerance)
    counts = [(one, float(item.interactions)) for one, item in items.items()]
    return Ranked(ranking(items, counts, "popular", exact=True), k_of(k))


def recommend(
    world: World,
    model: str,
    for_user: str | None,
    k: int | None = 10,
    exclude_seen: bool | None = True,
    candidates: Ids = None,
) -> Ranked:
    run = live(world, model)
    seen = {pair.item_id for pair in run.history(for_user)} if exclude_seen else set()
    return _best_items(run, run.users.get(for_user or ""), "model", k, seen, candidates)


def recommend_users(
    world: World,
    model: str,
    for_item: str | None,
    k: int | None = 10,
    exclude_seen: bool | None = True,
) -> Ranked:
    run = live(world, model)
    if for_item not in run.items:
        return Ranked([], 0)
    seen = {pair.user_id for pair in run.audience(for_item)} if exclude_seen else set()
    scores = [
        (one, pair_score(run, user, run.items[for_item]))
        for one, user in run.users.items()
        if one not in seen
    ]
    exact = run.similarity == "dot" or run.exact
    return Ranked(
        ranking(
            run.users, [pair for pair in scores if pair[1] is not None], exact=exact
        ),
        k_of(k),
    )


def recommend_batch(
    world: World,
    model: str,
    for_users: Ids,
    k: int | None = 10,
    exclude_seen: bool | None = True,
    candidates: Ids = None,
) -> Ranked:
    live(world, model)
    return of_each(
        for_users,
        k,
        lambda one: recommend(world, model, one, k, exclude_seen, candidates),
    )


def recommend_users_batch(
    world: World,
    model: str,
    for_items: Ids,
    k: int | None = 10,
    exclude_seen: bool | None = True,
) -> Ranked:
    live(world, model)
    return of_each(
        for_items, k, lambda one: recommend_users(world, model, one, k, exclude_seen)
    )


def rank_items(world: World, model: str, for_user: str | None, items: Ids) -> Ranked:
    run = live(world, model)
    if for_user not in run.users:
        return Ranked([], 0)
    user, known = (
        run.users[for_user],
        [one for one in run.items if one in (items or [])],
    )
    scores = [(one, pair_score(run, user, run.items[one])) for one in known]
    exact = run.similarity == "dot" or run.exact
    return Ranked(
        ranking(
            run.items, [pair for pair in scores if pair[1] is not None], exact=exact
        ),
        None,
    )


def explain_similarity(
    world: World, model: str, item_a: str | None, item_b: str | None
) -> Listed:
    run = live(world, model)
    if item_a not in run.items or item_b not in run.items:
        return Listed([])
    a, b = ({pair.user_id for pair in run.audience(item)} for item in (item_a, item_b))
    lift = len(a & b) * len(run.users) / (len(a) * len(b)) if a and b else None
    near = cosine(run.items[item_a].embedding, run.items[item_b].embedding)
    return Listed([(len(a & b), len(a), len(b), lift, near)])


# --- folding in ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """What a run makes of a history: A x = sum of pulls * vectors, and the user's bias."""

    kind: str
    ids: list[str]
    weights: np.ndarray  # (n,)
    vectors: np.ndarray  # (n, d)
    pulls: np.ndarray  # (n,)
    matrix: np.ndarray  # (d, d)
    bias: float

    @property
    def x(self) -> np.ndarray:
        """The user's vector (d,)."""
        return np.linalg.solve(self.matrix, self.pulls @ self.vectors)


def _history(
    run: Run, items: Ids, weights: list[float | None] | None
) -> History | None:
    """The equations of a history; none where nothing in it is known."""
    kind, settings = run.solver or ("mean", {})
    rated = "global_mean" in settings
    given: dict[str, list[float]] = {}
    for item, weight in _weighed(
        items or [], weights, settings.get("default_rating", 1.0), rated=rated
    ):
        given.setdefault(item, []).append(weight)
    ids = [item for item in given if item in run.items]
    if not ids:
        return None
    totals = np.array(
        [sum(given[one]) / (len(given[one]) if rated else 1) for one in ids]
    )  # (n,)
    vectors = np.array([run.items[one].embedding for one in ids])  # (n, d)
    return _equations(run, kind, settings, ids, totals, vectors)


def _weighed(
    items: list[str | None],
    weights: list[float | None] | None,
    usual: float,
    *,
    rated: bool,
) -> list[tuple[str, float]]:
    """What counts of a history, as in training: nothing without an item or a weight; 0 is a
    rating.
    """
    if weights is None:
        return [(item, usual) for item in items if item is not None]
    if len(items) != len(weights):
        raise Refused(
            f"{len(items)} items with {len(weights)} weights: give every item one"
        )
    known = [weight for weight in weights if weight is not None]
    if not all(abs(weight) <= HUGE for weight in known):
        raise Refused(
            "the list of weights holds NaN or infinity, or a number beyond those"
        )
    if not rated and min(known, default=0.0) < 0:
        raise Refused("has the negative weight")
    pairs = zip(items, weights, strict=True)
    return [
        (item, weight)
        for item, weight in pairs
        if item is not None and weight is not None and (rated or weight > 0)
    ]


def _equations(
    run: Run,
    kind: str,
    s: dict[str, float],
    ids: list[str],
    w: np.ndarray,
    v: np.ndarray,
) -> History | None:
    """What embsql_internal.fold_in_system says it makes of settings s, weights w (n,) and vectors
    v (n, d).
    """
    rest, own, bias = w * np.array([run.scales.get(one, 1.0) for one in ids]), 0.0, 0.0
    if "global_mean" in s:
        rest = rest - s["global_mean"] - np.array([run.items[one].bias for one in ids])
        own = rest.sum() / (len(rest) + s["bias_damping"])
        bias = own + s["global_mean"]
    if kind == "mean":
        return (
            History(kind, ids, w, v, w / w.sum(), np.eye(run.dim), bias)
            if w.sum()
            else None
        )
    amounts = s.get("weight_scale", 1.0) * (rest - own)
    if kind == "projection":
        return History(kind, ids, w, v, amounts, np.eye(run.dim), bias)
    curves = s["confidence_offset"] + s["confidence_scale"] * amounts
    table = np.array([item.embedding for item in run.items.values()])  # (items, d)
    ridge = (
        s["reg"]
        * (curves.sum() + s["unobserved_weight"] * len(run.items)) ** s["reg_exponent"]
    )
    matrix = (
        s["unobserved_weight"] * table.T @ table
        + ridge * np.eye(run.dim)
        + (v.T * curves) @ v
    )
    return History(kind, ids, w, v, s["target_offset"] + amounts, matrix, bias)


def fold_in(
    world: World,
    model: str,
    items: Ids,
    weights: list[float | None] | None = None,
    times: None = None,  # noqa: ARG001 - no run of a world reads them
) -> Value:
    history = _history(live(world, model), items, weights)
    return Value(
        None if history is None else [float(entry) for entry in history.x], SOLVED
    )


def recommend_from(
    world: World,
    model: str,
    items: Ids,
    weights: list[float | None] | None = None,
    k: int | None = 10,
    exclude_seen: bool | None = True,
    times: None = None,  # noqa: ARG001 - no run of a world reads them
) -> Ranked:
    run = live(world, model)
    history = _history(run, items, weights)
    user = None if history is None else Vector(history.x, history.bias, 0)
    return _best_items(
        run, user, "fold_in", k, set(items or []) if exclude_seen else (), folded=True
    )


def next_items(
    world: World,
    model: str,
    session: Ids,
    k: int | None = 10,
    times: None = None,  # noqa: ARG001 - no run of a world reads them
) -> Ranked:
    run = live(world, model)
    history = _history(run, session, None)
    user = None if history is None else Vector(history.x, history.bias, 0)
    known = {None, *run.items}
    unknown = sum(one not in known for one in session or [])
    best = _best_items(run, user, "fold_in", k, folded=True)
    entries = [replace(entry, row=(*entry.row, unknown)) for entry in best.entries]
    return replace(best, entries=entries)


def explain(
    world: World, model: str, for_user: str | None, for_item: str | None
) -> Ranked:
    run = live(world, model)
    if for_user not in run.users or for_item not in run.items:
        return Ranked([], 0)
    past, user, target = run.history(for_user), run.users[for_user], run.items[for_item]
    history = _history(
        run, [pair.item_id for pair in past], [pair.weight for pair in past]
    )
    if history is None:
        return Ranked([], 0)
    if history.kind == "mean":
        near = [cosine(vector, target.embedding) or 0.0 for vector in history.vectors]
        strength = np.maximum(0, history.weights * near)
        whole, total = strength.sum(), pair_score(run, user, target)
    else:
        strength = history.pulls * (
            history.vectors @ np.linalg.solve(history.matrix, target.embedding)
        )
        whole = total = strength.sum()
    return _shared_out(run, history, strength, whole, total)


def _shared_out(
    run: Run, history: History, strength: np.ndarray, whole: float, total: float | None
) -> Ranked:
    """The rows of explain. Where strengths cancel out, rounding decides what the shares are."""
    size = np.abs(strength).sum()
    clear = abs(whole) > 0.1 * size > 1e-9
    rows = []
    for n, one in enumerate(history.ids):
        share: Any = (float(strength[n] / whole) if clear else ANY) if size else None
        carried: Any = float(strength[n])
        if history.kind == "mean":
            carried = (
                None
                if not size or total is None
                else total * float(strength[n] / whole)
            )
        order = float(strength[n] / size) if size else None
        twin = (
            history.weights[n],
            history.vectors[n].tobytes(),
            run.scales.get(one),
            run.items[one].bias,
        )
        row = one, float(history.weights[n]), carried, share
        rows.append(Entry(row, order, twin if size else None, (one,)))
    return Ranked(rows, None, 10 * SOLVED)


# --- towers --------------------------------------------------------------------------------------


def embed_user(world: World, model: str, features: str | None) -> Value:
    return _embed(live(world, model), "user", features)


def embed_item(world: World, model: str, features: str | None) -> Value:
    return _embed(live(world, model), "item", features)


def _embed(run: Run, entity: str, features: str | None) -> Value:
    vector, _ = _tower(run, entity, features)
    return Value(None if vector is None else [float(entry) for entry in vector])


def recommend_new(
    world: World, model: str, features: str | None, k: int | None = 10
) -> Ranked:
    run = live(world, model)
    vector, known = _tower(run, "user", features)
    user = Vector(vector, 0.0, 0) if known and vector is not None else None
    return _best_items(run, user, "features", k, folded=True)


def _tower(
    run: Run, entity: str, features: str | None
) -> tuple[np.ndarray | None, int]:
    """The vector of features, and how many of them had a value that the tower knows."""
    tower = run.towers.get(entity)
    if tower is None:
        raise Refused(f"run {run.run_id} makes no {entity} vectors of features.")
    parsed = _parsed(tower, entity, features)
    x, known = np.zeros(len(tower.parts[0].embedding)), 0
    for base in (part for part in tower.parts if part.value is None):
        added = _added(
            base,
            [part for part in tower.parts if part.feature == base.feature],
            parsed.get(base.feature),
        )
        x = x + (
            sum(factor * part.embedding for factor, part in added)
            if added
            else base.embedding
        )
        known += bool(added)
    for weights, bias in tower.layers:
        x = weights @ np.maximum(x, 0) + bias
    if run.similarity == "cosine":
        return (x / np.sqrt(x @ x) if x.any() else None), known
    return x, known


def _parsed(tower: Tower, entity: str, features: str | None) -> dict[str, Any]:
    """The features as a dictionary, or a refusal."""
    if features is None:
        return {}
    try:
        parsed = json.loads(features)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refused("features must be a JSON object")
    strange = {
        name
        for name in parsed
        if name not in {part.feature for part in tower.parts if part.kind != "always"}
    }
    strange -= {f"{entity}_id"}
    if strange:
        first = min(strange, key=str.encode)
        raise Refused(f'this model knows no {entity} feature "{first}". It knows: ')
    return parsed


def _added(base: Part, parts: list[Part], said: Any) -> list[tuple[float, Part]]:
    """The parts that what is said of a feature adds, each with its factor."""
    if said is None:
        return []
    if base.kind in ("number", "time"):
        slope = next(part for part in parts if part.value == "")
        number = (_number(base.kind, said) - (slope.center or 0)) / (slope.scale or 1)
        return [(max(-4.0, min(4.0, number)), slope)]
    words = set(_words(base.kind, said))
    added = [part for part in parts if part.value is not None and part.value in words]
    return [
        (1 / len(added) if base.kind == "items" else 1 / math.sqrt(len(added)), part)
        for part in added
    ]


def _words(kind: str, said: Any) -> list[str]:
    if kind == "text":
        return re.split(r"[ \t\n\r!-/:-@\[-`{-~]+", str(said).lower())
    many = said if kind in ("tags", "items") and isinstance(said, list) else [said]
    return [
        json.dumps(word) if isinstance(word, bool) else str(word)
        for word in many
        if word is not None
    ]


def _number(kind: str, said: Any) -> float:
    """A number as it is written, days since 1970 of a time."""
    try:
        if kind == "time":
            return datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp() / 86400
        if isinstance(said, bool):
            raise ValueError
        return float(said)
    except (ValueError, TypeError):
        raise Refused(str(said) if isinstance(said, str) else "") from None
