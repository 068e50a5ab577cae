"""A training that was killed goes on where it was, and comes to the same bytes; what is damaged is
passed over.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import embsql
from embsql import algorithms
from embsql.api.commands import COMMANDS
from embsql.checkpoints import Checkpoint, checkpoints
from embsql.errors import CheckpointNotWritten, InvalidArgument, InvalidOptionsJson
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.train import train_model
from embsql.nn import optim
from embsql.run import Run
from tests.worlds import islands

EVENTS = (
    "SELECT i % 97 AS user_id, i * 31 % 53 % (20 + i % 97 % 3) AS item_id, "
    "i AS event_time FROM range(3000) t(i)"
)
OPTIONS = {"dim": 8, "epochs": 6, "history_embedding": "shared", "loss": "bpr"}
STEPS = 32  # of an epoch in the world of islands
Reports = list[tuple[int, dict[str, float]]]


class Killed(Exception):
    """The end of the process, for those who live on to look at what it left."""


def fit(
    folder: Path | None = None, identity: str = "a", kill: int = -1, **options: object
) -> tuple[str, Reports, int]:
    """Train, until an epoch has been reported; the checksum, what was reported, and the steps that
    were taken.
    """
    reports: Reports = []
    steps: list[int] = []

    def hear(epoch: int, values: dict[str, float]) -> None:
        reports.append((epoch, values))
        if epoch == kill:
            raise Killed

    kept = checkpoints(str(folder), identity) if folder else None
    run = Run(
        seed=3,
        threads=1,
        checkpoints=kept,
        on_report=hear,
        on_check=lambda: steps.append(1),
    )
    try:
        checksum = (
            algorithms.make("two_tower", OPTIONS | options)
            .fit(islands()[0], run)
            .checksum()
        )
    except Killed:
        checksum = "none"
    return checksum, reports, len(steps)


@cache
def undisturbed() -> tuple[str, Reports, int]:
    """What the training comes to that nothing stops."""
    return fit()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


# --- killed and resumed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "options"),
    [
        (1, {}),
        (6, {}),
        (
            4,
            {
                "history_embedding": "none",
                "loss": "softmax",
                "sampler": "hard",
                "negative_queue_size": 100,
            },
        ),
        (3, {"user_id_embedding": False}),
    ],
)
def test_resuming_comes_to_the_same_bytes(
    tmp_path, epoch: int, options: dict[str, object]
) -> None:
    _, before, _ = fit(tmp_path, kill=epoch, **options)
    checksum, reports, steps = fit(tmp_path, **options)
    assert (checksum, reports) == fit(**options)[:2]
    assert reports[:epoch] == before
    assert steps == (6 - epoch) * STEPS, (
        "what is reported once more is not trained once more"
    )


@pytest.mark.parametrize(
    "large", [50, 0]
)  # rows: users' table is, or both are; Adam has the rest
def test_resuming_with_large_tables_comes_to_the_same_bytes(
    tmp_path, monkeypatch, large: int
) -> None:
    monkeypatch.setattr(optim, "LARGE_TABLE_ROWS", large)
    fit(tmp_path, kill=4)
    checksum, reports, steps = fit(tmp_path)
    assert (checksum, reports) == fit()[:2]
    assert steps == 2 * STEPS


def test_patience_goes_on_where_it_was(tmp_path) -> None:
    """Stopping early counts epochs across a resume, and gives back the best epoch's weights from
    before it.
    """
    options = {
        "epochs": 50,
        "lr": 0.05,
        "history_embedding": "none",
        "loss": "softmax",
        "patience": 2,
    }
    checksum, reports, _ = fit(**options)
    figures = [values["validation"] for _, values in reports]
    best, last = figures.index(max(figures)) + 1, len(reports)
    assert best == last - 2 < 48
    for epoch in (best, last - 1, last):
        fit(tmp_path / str(epoch), kill=epoch, **options)
        assert fit(tmp_path / str(epoch), **options)[:2] == (checksum, reports)


CHILD = """
import json, os, signal, sys
import embsql
import embsql.nn.towers, embsql.numeric.topk, torch._dynamo  # what is forked has them at hand
from embsql import algorithms
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.train import train_model

path, folder, source, options, kills = sys.argv[1:]

def attempt(figure, epoch):
    def listener(reported, values):
        if reported == epoch and figure in values:
            os.kill(os.getpid(), signal.SIGKILL)

    algorithm = algorithms.make("two_tower", json.loads(options))
    with embsql.connect(path) as database:
        settings = {"threads": 1, "evaluate": True, "gate": False, "checkpoint_dir": folder}
        plan = Plan("m", source, algorithm, **settings)
        train_model(database.engine, plan, listener)

for kill in json.loads(kills):
    process = os.fork()
    if not process:
        attempt(*kill)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def test_arrays_come_back_however_they_lie_in_memory(tmp_path) -> None:
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {
        "transposed": table.T,
        "strided": table[:, ::2],
        "fortran": np.asfortranarray(table),
        "reversed": table[::-1],
        "number": np.array(3.0, np.float32),
    }
    kept = checkpoints(str(tmp_path), "one")
    kept.save(Checkpoint(1, arrays, {}))
    (found,) = kept.newest()
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(found.arrays[name], array), name


def test_kill_a_process_again_and_again(tmp_path) -> None:
    """SIGKILL in the trial that is measured, then in the training itself; the third attempt ends as
    if alone.
    """
    path, folder = tmp_path / "k.duckdb", tmp_path / "kept"
    kills = json.dumps([("evaluation_loss", 2), ("loss", 3)])
    words = [
        sys.executable,
        "-c",
        CHILD,
        str(path),
        str(folder),
        EVENTS,
        json.dumps(OPTIONS),
        kills,
    ]
    process = subprocess.run(words, capture_output=True, text=True, check=True)
    assert process.stdout.split() == [str(-signal.SIGKILL)] * 2, process.stderr
    assert {file.name.split("-")[1] for file in files(folder)} == {"trial", "whole"}
    options = {
        "algorithm": "two_tower",
        "threads": 1,
        "evaluate": True,
        "gate": False,
        **OPTIONS,
    }
    with embsql.connect(str(path)) as database, embsql.connect(":memory:") as other:
        run = database.train("m", EVENTS, checkpoint_dir=str(folder), **options)
        assert run.metrics == other.train("m", EVENTS, **options).metrics
        for question in (
            "SELECT checksum FROM embsql.run_records WHERE status = 'ready'",
            "SELECT epoch, metric, value FROM embsql.training_log('m')",
        ):
            assert database.ask(question) == other.ask(question)
    assert not any(folder.iterdir()), "what has been written needs no checkpoint"


# --- damage --------------------------------------------------------------------------------------


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def rubbish(file: Path) -> None:
    """Bytes of which the sum is right."""
    forge(file, b"\xff" * 1000)


def forge(file: Path, content: bytes) -> None:
    file.unlink()
    sum_ = hashlib.sha256(content).hexdigest()
    file.with_name(file.name.replace(file.stem.rpartition("-")[2], sum_)).write_bytes(
        content
    )


def of_another_training(file: Path) -> None:
    forge(file, file.read_bytes().replace(b'"part":"whole"', b'"part":"trial"'))


def of_another_format(file: Path) -> None:
    forge(file, file.read_bytes().replace(b'"format":"1"', b'"format":"9"'))


DAMAGES = [truncate, flip, empty, rubbish, of_another_training, of_another_format]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_is_damaged(tmp_path, damage: Callable[[Path], None]) -> None:
    fit(tmp_path, kill=4)
    damage(files(tmp_path)[1])
    assert [saved.epoch for saved in checkpoints(str(tmp_path), "a").newest()] == [3]
    checksum, reports, steps = fit(tmp_path)
    assert (checksum, reports) == undisturbed()[:2]
    assert steps == 3 * STEPS


def test_all_are_damaged(tmp_path) -> None:
    fit(tmp_path, kill=4)
    for file in files(tmp_path):
        flip(file)
    assert fit(tmp_path) == undisturbed()


def test_what_was_being_written_does_no_harm(tmp_path) -> None:
    fit(tmp_path, kill=4)
    draft = tmp_path / (files(tmp_path)[0].name.partition("-whole")[0] + "-whole.draft")
    draft.write_bytes(files(tmp_path)[0].read_bytes()[:1000])
    assert fit(tmp_path)[2] == 2 * STEPS
    assert not draft.exists()


# --- whose a checkpoint is -----------------------------------------------------------------------


def test_two_are_kept(tmp_path) -> None:
    fit(tmp_path)
    assert [int(file.name.split("-")[2]) for file in files(tmp_path)] == [5, 6]


def test_another_training_has_its_own(tmp_path) -> None:
    fit(tmp_path, kill=4)
    assert fit(tmp_path, identity="b") == undisturbed()
    assert len(files(tmp_path)) == 4


def test_a_model_of_another_shape_is_not_begun_with_it(tmp_path) -> None:
    """Whatever an identity forgets to say."""
    fit(tmp_path, kill=4)
    assert fit(tmp_path, dim=4) == fit(dim=4)


def interrupt(
    db: embsql.Database,
    folder: Path,
    source: str = EVENTS,
    options: object = None,
    **more: object,
) -> int:
    """Train up to the second epoch; how many different trainings have left something in the
    folder.
    """

    def hear(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise Killed

    algorithm = algorithms.make("two_tower", OPTIONS | (options or {}))
    with pytest.raises(Killed):
        train_model(
            db.engine,
            Plan(
                "m",
                source,
                algorithm,
                **{"threads": 1, "checkpoint_dir": str(folder)} | more,
            ),
            hear,
        )
    return len({file.name.split("-")[0] for file in files(folder)})


def test_whatever_decides_the_result_decides_whose_it_is(tmp_path, db) -> None:
    assert interrupt(db, tmp_path) == 1
    assert interrupt(db, tmp_path, threads=2) == 1, "another machine may go on"
    assert interrupt(db, tmp_path, seed=7) == 2
    assert interrupt(db, tmp_path, options={"lr": 0.01}) == 3
    assert interrupt(db, tmp_path, EVENTS.replace("53", "51")) == 4
    assert interrupt(db, tmp_path, warm_start=True) == 4, (
        "nothing is live: it starts afresh"
    )
    db.train("m", EVENTS, algorithm="item2vec", dim=8)
    assert interrupt(db, tmp_path, warm_start=True) == 5
    db.train("m", EVENTS, algorithm="item2vec", dim=8, seed=2)
    assert interrupt(db, tmp_path, warm_start=True) == 6, (
        "what it starts from has changed"
    )


# --- what is refused -----------------------------------------------------------------------------


def test_a_training_without_networks_keeps_none(tmp_path, db) -> None:
    with pytest.raises(InvalidArgument, match="checkpoint_dir must be left out: als"):
        db.train("m", EVENTS, checkpoint_dir=str(tmp_path))


def test_a_folder_that_is_none(tmp_path, db) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointNotWritten, match="file"):
        db.train(
            "m", EVENTS, algorithm="two_tower", checkpoint_dir=str(tmp_path / "file")
        )


def test_sql_has_no_say_over_the_machine_s_files(tmp_path, db) -> None:
    with pytest.raises(InvalidOptionsJson, match="checkpoint_dir"):
        COMMANDS["train"](
            db, "m", EVENTS, "two_tower", json.dumps({"checkpoint_dir": str(tmp_path)})
        )
