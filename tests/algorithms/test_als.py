"""ALS against its own mathematics: a dense twin in float64, the torch path, ratings, worlds with
known answers.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from embsql.algorithms import als
from embsql.algorithms.als import ALS
from embsql.data import CsrMatrix, Interactions, indptr_of
from embsql.errors import BadOption, Diverged
from embsql.factorization.cpu import CpuSolver
from embsql.factorization.objective import Objective
from embsql.numeric.linalg import eigh, gramian, matmul, transpose
from embsql.run import Run
from tests.worlds import checkerboard, interactions, islands


def noise(
    users: int = 60, items: int = 37, pairs: int = 500, seed: int = 0
) -> Interactions:
    """Random pairs with random weights."""
    rng = np.random.default_rng(seed)
    codes = np.unique(rng.integers(0, users * items, pairs))
    pairs_of = [(int(code) // items, int(code) % items) for code in codes]
    return interactions(pairs_of, list(rng.uniform(0.5, 4, len(codes))))


def exact(rows: CsrMatrix, fixed: np.ndarray, objective: Objective) -> np.ndarray:
    """The minimizer of the objective for every row, by a dense solve in float64."""
    fixed = fixed.astype(np.float64)  # (m, f)
    out = np.empty((len(rows.counts), fixed.shape[1]))  # (n, f)
    for row in range(len(out)):
        here = slice(rows.indptr[row], rows.indptr[row + 1])
        Z, w = (
            fixed[rows.indices[here]],
            rows.data[here].astype(np.float64),
        )  # (k, f), (k,)
        confidence = objective.confidence_offset + objective.confidence_scale * w
        penalty = (
            objective.reg
            * (confidence.sum() + objective.unobserved_weight * len(fixed))
            ** objective.reg_exponent
        )
        A = (
            objective.unobserved_weight * fixed.T @ fixed
            + Z.T @ (confidence[:, None] * Z)
            + penalty * np.eye(fixed.shape[1])
        )  # (f, f)
        out[row] = np.linalg.solve(A, Z.T @ (objective.target_offset + w))
    return out


def whole_loss(
    data: Interactions, users: np.ndarray, items: np.ndarray, objective: Objective
) -> float:
    """The objective, written down over all pairs."""
    U, V, w = (
        users.astype(np.float64),
        items.astype(np.float64),
        data.weight.astype(np.float64),
    )
    score = (U[data.user] * V[data.item]).sum(1)  # (n,)
    confidence = objective.confidence_offset + objective.confidence_scale * w
    loss = (
        confidence * score**2 - 2 * (objective.target_offset + w) * score
    ).sum() + objective.unobserved_weight * ((U @ V.T) ** 2).sum()
    for side, codes, other in ((U, data.user, V), (V, data.item, U)):
        evidence = np.bincount(
            codes, confidence, len(side)
        ) + objective.unobserved_weight * len(other)
        loss += (
            objective.reg * evidence**objective.reg_exponent * (side**2).sum(1)
        ).sum()
    return float(loss)


OBJECTIVES = {
    "unobserved pairs weigh a fifth": Objective(0, 1, 0, 0.2, 0.02, 1.0, 80, 1.0),
    "Hu-Koren-Volinsky": Objective(0, 1, 1, 1.0, 0.5, 0.0, 80, 1.0),
    "half the frequency scaling": Objective(0, 1, 0, 0.05, 0.1, 0.5, 80, 1.0),
    "ratings": Objective(1, 0, 0, 0.0, 0.1, 1.0, 80, 1.0),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
@pytest.mark.parametrize("dim", [1, 7, 24])
def test_a_side_is_solved_in_every_row(objective: Objective, dim: int) -> None:
    data = noise()
    fixed = np.random.default_rng(1).standard_normal((data.n_items, dim), np.float32)
    solved, turned, _, _ = CpuSolver(Run(threads=2)).solve_side(
        data.by_user(), fixed, np.zeros((data.n_users, dim), np.float32), objective
    )
    truth = exact(data.by_user(), fixed, objective) @ fixed.T.astype(np.float64)
    np.testing.assert_allclose(solved @ turned.T, truth, atol=1e-3 * abs(truth).max())


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_loss_is_the_objective(objective: Objective) -> None:
    """It is computed from what conjugate gradients know, two steps from random starts; here it is
    written out.
    """
    data, rng = noise(), np.random.default_rng(2)
    objective = objective._replace(cg_steps=2)
    users, items = (
        rng.standard_normal((n, 9), np.float32) for n in (data.n_users, data.n_items)
    )
    cpu = CpuSolver(Run(threads=2))
    users, items, _, penalty = cpu.solve_side(data.by_user(), items, users, objective)
    items, users, loss, _ = cpu.solve_side(
        transpose(data.by_user(), data.n_items), users, items, objective
    )
    assert loss + penalty == pytest.approx(
        whole_loss(data, users, items, objective), rel=1e-4
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 3.0, "reg": 0.1, "reg_exponent": 0.0}, {"feedback": "explicit"}],
    ids=str,
)
def test_torch_finds_the_same(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from embsql.factorization.torch import TorchSolver

    ours = ALS(dim=12, **options).fit(noise(), Run(seed=3))
    monkeypatch.setattr(als, "solver", TorchSolver)
    theirs = ALS(dim=12, **options).fit(noise(), Run(seed=3))
    scores = ours.users @ ours.items.T
    np.testing.assert_allclose(
        theirs.users @ theirs.items.T, scores, atol=1e-3 * abs(scores).max()
    )


def test_bytes_depend_on_the_seed_and_not_on_threads() -> None:
    data = noise()
    one, again, three, other = (
        ALS(dim=16).fit(data, Run(seed=seed, threads=threads)).checksum()
        for seed, threads in ((1, 1), (1, 1), (1, 3), (2, 1))
    )
    assert one == again == three != other


def test_the_unit_of_weights_does_not_matter() -> None:
    data = noise()
    double = Interactions(
        data.user, data.item, 1000 * data.weight, None, data.users, data.items
    )
    scores = [
        e.users @ e.items.T
        for e in (
            ALS(dim=8, reg_exponent=0.5).fit(d, Run(seed=1)) for d in (data, double)
        )
    ]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_loss_falls_to_less_than_scoring_zero() -> None:
    losses: list[float] = []
    ALS(dim=8).fit(
        islands()[0],
        Run(seed=1, on_report=lambda _, values: losses.append(values["loss"])),
    )
    losses = np.round(losses, 6).tolist()  # in the end it only rounds
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1


def test_checkerboard_finds_what_was_left_out() -> None:
    data, held = checkerboard()
    found = ALS(dim=8).fit(data, Run(seed=1))
    scores = found.users @ found.items.T
    scores[data.user, data.item] = -np.inf
    assert [int(scores[user].argmax()) for user, _ in held] == [
        item for _, item in held
    ]


def test_ratings_are_predicted() -> None:
    """A world of rank 2 with biases: rated pairs that were left out are told within the noise."""
    rng = np.random.default_rng(0)
    U, V, bias = (
        rng.standard_normal((120, 2)),
        rng.standard_normal((80, 2)),
        rng.standard_normal(80),
    )
    truth = 3.5 + bias + U @ V.T / 2  # (u, i)
    known = rng.random(truth.shape) < 0.5
    pairs = np.argwhere(known)
    data = interactions([(int(u), int(i)) for u, i in pairs], list(truth[known]))
    found = ALS(dim=4, feedback="explicit", epochs=20, reg=0.005).fit(data, Run(seed=1))
    assert found.item_bias is not None
    assert found.user_bias is not None
    predicted = found.users @ found.items.T + found.item_bias + found.user_bias[:, None]
    assert np.sqrt(np.square(predicted - truth)[~known].mean()) < 0.1


def test_equal_ratings_are_predicted() -> None:
    data = interactions([(0, 0), (0, 1), (1, 0)], [4.0, 4.0, 4.0])
    found = ALS(dim=2, feedback="explicit").fit(data, Run(seed=1))
    assert found.user_bias is not None
    np.testing.assert_allclose(
        found.users @ found.items.T + found.item_bias + found.user_bias[:, None],
        4,
        atol=1e-3,
    )


def test_a_row_without_pairs_is_zero() -> None:
    data = noise()
    data = data.where((data.user != 5) & (data.item != 7))
    found = ALS(dim=8).fit(data, Run(seed=1))
    assert not found.users[5].any()
    assert not found.items[7].any()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("epochs", {"epochs": 0}),
        ("reg", {"reg": -1.0}),
        ("reg_exponent", {"reg_exponent": float("nan")}),
        ("unobserved_weight", {"unobserved_weight": float("inf")}),
        ("alpha", {"alpha": 0.0}),
        ("unobserved_weight", {"alpha": 1.0, "unobserved_weight": 1.0}),
        ("alpha", {"alpha": 1.0, "feedback": "explicit"}),
    ],
)
def test_bad_options(name: str, options: dict) -> None:
    with pytest.raises(BadOption, match=f"als: {name} must be"):
        ALS(**options)


def test_numbers_out_of_range_raise() -> None:
    with np.errstate(over="ignore"), pytest.raises(Diverged, match=r"als .* epoch 1"):
        ALS(dim=4, alpha=3e38).fit(noise(), Run(seed=1))


def test_listing_brings_no_compiler() -> None:
    listing = "from embsql import algorithms, options; options.declared(algorithms.find('als'))"
    code = f"import sys; {listing}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("dim", [1, 6, 33])
def test_dense_helpers(dim: int) -> None:
    table = np.random.default_rng(0).standard_normal((101, dim), np.float32)
    run = Run(threads=2)
    squares = gramian(table, run)
    np.testing.assert_allclose(squares, table.T.astype("f8") @ table, atol=1e-3)
    eigenvalues, eigenvectors = eigh(squares)
    np.testing.assert_allclose(
        eigenvalues, np.linalg.eigvalsh(squares)[::-1], rtol=1e-5
    )
    np.testing.assert_allclose(
        gramian(matmul(table, eigenvectors, run), run), np.diag(eigenvalues), atol=1e-3
    )


@pytest.mark.usefixtures("numeric_path")
def test_transpose() -> None:
    data = noise()
    rows, truth = (
        transpose(data.by_user(), data.n_items),
        np.lexsort((data.user, data.item)),
    )
    np.testing.assert_array_equal(
        rows.indptr, indptr_of(data.item[truth], data.n_items)
    )
    np.testing.assert_array_equal(rows.indices, data.user[truth])
    np.testing.assert_array_equal(rows.data, data.weight[truth])
