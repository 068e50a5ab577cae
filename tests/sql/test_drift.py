"""Two runs are compared after alignment: what is only turned has not moved, what moved is what
numpy says.
"""

from __future__ import annotations

import numpy as np
import pytest

from embsql.numeric.projection import procrustes
from tests.worlds import islands, run_of

DRIFT = "SELECT * FROM embsql.drift('before', 'after') ORDER BY entity, entity_id"
Pair = tuple[np.ndarray, np.ndarray]  # vectors of items and of users


def vectors(
    rng: np.random.Generator, dim: int = 8, items: int = 40, users: int = 60
) -> Pair:
    return rng.normal(size=(items, dim)), rng.normal(size=(users, dim))


def turn(rng: np.random.Generator, dim: int) -> np.ndarray:
    """A rotation or reflection (dim, dim)."""
    return np.linalg.qr(rng.normal(size=(dim, dim)))[0]


def unit(a: np.ndarray) -> np.ndarray:
    return a / np.linalg.norm(a, axis=1, keepdims=True)


def moved(database, before: Pair, after: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Shifts and overlaps (items + users,) between two runs."""
    run_of(database, 1, "before", *before)
    run_of(database, 2, "after", *after)
    answer = database.ask(DRIFT)
    assert answer["entity_id"].to_pylist() == [
        *(f"i{n:04d}" for n in range(len(before[0]))),
        *(f"u{n:04d}" for n in range(len(before[1]))),
    ]
    return answer["shift"].to_numpy(), answer["neighbor_overlap"].to_numpy()


@pytest.mark.parametrize("dim", [1, 2, 16])
def test_what_is_only_turned_has_not_moved(each, dim: int) -> None:
    rng = np.random.default_rng(dim)
    items, users = vectors(rng, dim)
    q = turn(rng, dim)
    shift, overlap = moved(each, (items, users), (3 * items @ q, users @ q))
    assert shift.max() < 1e-5
    assert overlap.min() == 1


def test_directions_that_hardly_anything_has_are_turned_too(each) -> None:
    rng = np.random.default_rng(1)
    items, users = (table * np.geomspace(1, 1e-3, 12) for table in vectors(rng, 12))
    q = turn(rng, 12)
    shift, _ = moved(each, (items, users), (items @ q, users @ q))
    assert shift.max() < 1e-5


def test_more_dimensions_than_anybody_fills(each) -> None:
    rng = np.random.default_rng(2)
    items, users = vectors(rng, 32, items=6, users=5)
    q = turn(rng, 32)
    shift, _ = moved(each, (items, users), (items @ q, users @ q))
    assert shift.max() < 1e-5


def test_dimensions_too_small_for_a_float_are_none(each) -> None:
    """As of als with more dims than items: what is left of such a dimension is about 1e-38."""
    rng = np.random.default_rng(10)
    items, users = (table * np.geomspace(1, 1e-37, 8) for table in vectors(rng))
    q = np.diag([1.0, -1, 1, 1, -1, 1, 1, 1])
    shift, overlap = moved(each, (items, users), (items @ q, users @ q))
    assert shift.max() < 1e-5
    assert overlap.min() == 1


def test_a_longer_space_that_holds_the_shorter(each) -> None:
    rng = np.random.default_rng(3)
    items, users = vectors(rng, 4)
    q = turn(rng, 9)[:4]  # (4, 9)
    shift, overlap = moved(each, (items, users), (items @ q, users @ q))
    assert shift.max() < 1e-5
    assert overlap.min() == 1
    back = each.ask("SELECT max(shift) AS shift FROM embsql.drift('after', 'before')")[
        "shift"
    ][0].as_py()
    assert back < 1e-5


def test_ids_that_changed_places_have_moved(each) -> None:
    rng = np.random.default_rng(4)
    items, users = vectors(rng)
    shift, overlap = moved(
        each, (items, users), (rng.permutation(items), rng.permutation(users))
    )
    assert shift.mean() > 0.5
    assert overlap.mean() < 0.5


def test_numpy_says_the_same(each) -> None:
    rng = np.random.default_rng(5)
    before = vectors(rng)
    after = tuple(
        table @ turn(np.random.default_rng(6), 8) + rng.normal(size=table.shape)
        for table in before
    )
    shift, overlap = moved(each, before, after)
    a, b = (unit(np.concatenate(tables)) for tables in (before, after))  # (n, d)
    assert np.allclose(shift, 1 - ((a @ procrustes(a, b)) * b).sum(1), atol=1e-5)
    assert np.allclose(
        overlap,
        np.concatenate([shared(*tables) for tables in zip(before, after, strict=True)]),
    )


def shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The share (n,) of the ten nearest by cosine that tables (n, d) have in common."""
    near = []
    for table in (a, b):
        cosine = unit(table) @ unit(table).T  # (n, n)
        np.fill_diagonal(cosine, -2)
        near.append(np.argsort(-cosine, axis=1)[:, :10])
    return np.array(
        [len(np.intersect1d(*rows)) / 10 for rows in zip(*near, strict=True)]
    )


def test_a_sample_of_neighbors_is_the_same_in_both_runs(each) -> None:
    rng = np.random.default_rng(7)
    items, users = vectors(rng, 4, users=1200)
    q = turn(rng, 4)
    _, overlap = moved(each, (items, users), (items @ q, users @ q))
    assert (
        overlap.min() > 0.89
    )  # two neighbors may change places where a cosine is rounded
    assert overlap.mean() > 0.999


def test_only_what_both_runs_have(each) -> None:
    rng = np.random.default_rng(8)
    items, users = vectors(rng)
    run_of(each, 1, "before", items, users)
    run_of(each, 2, "after", items[:7], users[:9])
    assert each.ask(DRIFT).num_rows == 16


def test_a_cohort_moves_as_its_users_do(each) -> None:
    rng = np.random.default_rng(9)
    items, users = vectors(rng)
    later = np.concatenate([users[:25], rng.normal(size=(35, 8))])
    shift, overlap = moved(each, (items, users), (items, later))
    cohort = ["calm"] * 25 + ["restless"] * 19 + ["other"] * 16
    ids = [f"u{n:04d}" for n in range(60)]
    each.engine.write(
        "cohorts", {"cohort_set": ["mood"] * 60, "user_id": ids, "cohort": cohort}
    )
    answer = each.ask(
        "SELECT * FROM embsql.cohort_drift('before', 'after', 'mood') WHERE cohort <> 'other'"
    )
    calm, restless = answer.to_pylist()
    assert (calm["users"], calm["enough_data"]) == (25, True)
    assert (restless["users"], restless["enough_data"]) == (19, False)
    assert calm["drift"] < restless["drift"]
    assert restless["drift"] == pytest.approx(shift[40 + 25 : 40 + 44].mean())
    assert restless["neighbor_overlap"] == pytest.approx(
        overlap[40 + 25 : 40 + 44].mean()
    )


def test_seeds_of_an_island_find_the_island(each) -> None:
    world, island, _ = islands()
    pairs = zip(
        world.users.take(world.user).to_pylist(),
        world.items.take(world.item).to_pylist(),
        strict=True,
    )
    each.engine.run("CREATE TABLE seen (user_id VARCHAR, item_id VARCHAR)")
    each.engine.run(f"INSERT INTO seen VALUES {', '.join(map(str, pairs))}")
    each.train("sea", "seen", dim=8, progress=False)
    home = [f"u{n:03d}" for n in np.flatnonzero(island == 2)]
    found = each.ask(
        "SELECT * FROM embsql.lookalikes('sea', $seeds, k => 10)", seeds=home[:5]
    )
    assert sorted(found["user_id"].to_pylist()) == home[5:]
    quality = each.ask(
        "SELECT * FROM embsql.lookalike_quality('sea', $seeds)", seeds=home
    ).to_pylist()
    assert quality[0]["recall"] == 1  # seven others among 52 people
    assert quality[0]["lift"] == pytest.approx(5.2)
