"""Several statements in one message to Postgres, and their results in one answer: libpq's pipeline.

psycopg's own pipeline costs more than it saves for a handful of statements. Here are its parts for values, rows and
waiting, without the cursors between them.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import adapt, generators, pq
from psycopg.abc import Buffer, PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import DictRow

from memory.arriving import arriving

Values = Mapping[str, Any]
Asked = tuple["Statement", Values]
Rows = list[list[DictRow]]
"""Of each statement."""
KEPT = 100
"""Statements that a connection keeps prepared: those used last."""
_NAMED = re.compile(rb"%\((\w+)\)s|%%")


class Statement(NamedTuple):
    """A query whose values have numbers, and the names of these."""

    query: bytes
    names: tuple[str, ...] = ()


class Transaction(NamedTuple):
    """Statements that are one; `binary` has Postgres send its rows so."""

    asked: Sequence[Asked]
    binary: bool = False


@lru_cache(maxsize=1024)
def statement(query: str | bytes) -> Statement:
    """From a query as psycopg takes it, with `%(name)s` and `%%`."""
    numbers: dict[bytes, int] = {}

    def numbered(match: re.Match[bytes]) -> bytes:
        return b"$%d" % numbers.setdefault(match[1], len(numbers) + 1) if match[1] else b"%"

    text = _NAMED.sub(numbered, query.encode() if isinstance(query, str) else query)
    return Statement(text, tuple(name.decode() for name in numbers))


@dataclass(slots=True, eq=False)
class _Kept:
    """A statement by its name on the server."""

    name: bytes
    columns: tuple[str, ...] = ()
    """Of its rows, once there were some."""


class _Step(NamedTuple):
    """One statement of a message; `is_new` where the message prepares it."""

    key: tuple[bytes, tuple[int, ...]]
    kept: _Kept
    is_new: bool
    values: Sequence[Buffer | None]
    formats: Sequence[pq.Format] | None


class _Group(NamedTuple):
    """Steps that are one transaction, where the connection is in none."""

    steps: Sequence[_Step]
    format: pq.Format = pq.Format.TEXT


@dataclass(slots=True)
class Pipeline:
    """What one connection has sent this way, and keeps prepared. A name is never given twice."""

    transformer: Transformer = field(default_factory=adapt.Transformer)
    _kept: OrderedDict[tuple[bytes, tuple[int, ...]], _Kept] = field(default_factory=OrderedDict)
    _names: int = 0
    _dropped: list[bytes] = field(default_factory=list)

    async def run(self, connection: psycopg.AsyncConnection[Any], asked: Sequence[Asked]) -> Rows:
        """The rows of each statement, in order. Raises psycopg.Error for the one that failed."""
        steps = [self._step(each, values) for each, values in asked]
        (results,) = await self._exchanged(connection, [_Group(steps)])
        return self._read(steps, results)

    async def each(
        self, connection: psycopg.AsyncConnection[Any], transactions: Sequence[Transaction]
    ) -> list[Rows | Exception]:
        """The rows of each transaction's statements, or what it failed with, on a connection that is in none."""
        outcomes: list[Rows | Exception | _Group] = [self._group(transaction) for transaction in transactions]
        places = [place for place, group in enumerate(outcomes) if isinstance(group, _Group)]
        groups = [group for group in outcomes if isinstance(group, _Group)]
        for place, group, results in zip(places, groups, await self._exchanged(connection, groups), strict=True):
            try:
                outcomes[place] = self._read(group.steps, results)
            except psycopg.Error as error:
                outcomes[place] = error
        return cast(list[Rows | Exception], outcomes)

    def forget(self) -> None:
        """The server knows none of the names any more."""
        self._kept.clear()

    def _group(self, transaction: Transaction) -> "_Group | Exception":
        """Its steps, or why a value of it can't be sent, whatever that is: the others of the message go all the same."""
        try:
            steps = [self._step(each, values) for each, values in transaction.asked]
        except Exception as error:
            return error
        return _Group(steps, pq.Format.BINARY if transaction.binary else pq.Format.TEXT)

    async def _exchanged(
        self, connection: psycopg.AsyncConnection[Any], groups: Sequence["_Group"]
    ) -> list[Iterator[PGresult]]:
        if not groups:  # none of them could be sent
            return []
        dropped, self._dropped = self._dropped, []
        await connection.wait(_send(connection.pgconn, groups, dropped))
        answers = _Answers(connection.pgconn, len(groups))
        await arriving(connection, answers.take)
        del answers.groups[0][: len(dropped)]
        return [iter(results) for results in answers.groups]

    def _step(self, asked: Statement, values: Values) -> _Step:
        """Dump the values; find the statement among those for values of their types, or give it a name."""
        given = [values[name] for name in asked.names]
        dumped = self.transformer.dump_sequence(given, [PyFormat.AUTO] * len(given))
        key = (asked.query, self.transformer.types or ())
        if kept := self._kept.get(key):
            self._kept.move_to_end(key)
            return _Step(key, kept, False, dumped, self.transformer.formats)
        self._names += 1
        return _Step(key, _Kept(b"piped_%d" % self._names), True, dumped, self.transformer.formats)

    def _read(self, steps: Sequence[_Step], results: Iterator[PGresult]) -> Rows:
        """The rows of each step. Raises what the first one that failed says; a failed one is prepared anew next time, in
        case that its table has changed."""
        rows: Rows = []
        failed: PGresult | None = None
        for step in steps:
            result = next(results)
            if step.is_new:
                preparation, result = result, next(results)
                if preparation.status != pq.ExecStatus.COMMAND_OK:
                    failed = failed or preparation
                    continue
                self._keep(step)
            if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                rows.append(self._rows(step.kept, result))
            else:
                failed = failed or result
                self._drop(step.key)
        if failed:
            raise psycopg.errors.error_from_result(failed)
        return rows

    def _keep(self, step: _Step) -> None:
        self._drop(step.key)  # the same message may have prepared it twice
        self._kept[step.key] = step.kept
        if len(self._kept) > KEPT:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[bytes, tuple[int, ...]]) -> None:
        if kept := self._kept.pop(key, None):
            self._dropped.append(kept.name)

    def _rows(self, kept: _Kept, result: PGresult) -> list[DictRow]:
        if not result.ntuples:
            return []
        if not kept.columns:
            names = (result.fname(column) or b"" for column in range(result.nfields))
            kept.columns = tuple(name.decode() for name in names)
        columns = kept.columns
        self.transformer.set_pgresult(result)
        rows = self.transformer.load_rows(0, result.ntuples, lambda values: dict(zip(columns, values, strict=True)))
        self.transformer.set_pgresult(None)
        return rows


def _send(pgconn: PGconn, groups: Sequence[_Group], dropped: Sequence[bytes]) -> PQGen[None]:
    """All steps, with an end behind those of each group."""
    pgconn.enter_pipeline_mode()
    for name in dropped:
        pgconn.send_close_prepared(name)
    for steps, format in groups:
        for step in steps:
            if step.is_new:
                pgconn.send_prepare(step.kept.name, step.key[0], step.key[1])
            pgconn.send_query_prepared(step.kept.name, step.values, step.formats, format)
        pgconn.pipeline_sync()
    yield from generators.send(pgconn)


class _Answers:
    """What comes back for each group: a result for each preparation and each statement."""

    __slots__ = ("_awaited", "_ended", "_pgconn", "groups")

    def __init__(self, pgconn: PGconn, awaited: int) -> None:
        self._pgconn, self._awaited = pgconn, awaited
        self._ended = False
        self.groups: list[list[PGresult]] = [[]]

    def take(self) -> bool:
        """Take what is there; whether it is all."""
        pgconn = self._pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:  # the end of one statement's results; twice: of the connection
                if self._ended:
                    raise psycopg.OperationalError("the connection is lost")
                self._ended = True
                continue
            self._ended = False
            if result.status != pq.ExecStatus.PIPELINE_SYNC:
                self.groups[-1].append(result)
            elif len(self.groups) < self._awaited:
                self.groups.append([])
            else:
                pgconn.exit_pipeline_mode()
                return True
        return False
