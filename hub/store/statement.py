"""Statements: SQLAlchemy Core, compiled once for the two stores and run on their drivers.

A statement also knows which rows it can touch: a unit of work may put off its writes until a read that would see them,
or the commit, and a read tells from the columns that both name whether it could.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Insert, Table, Update, bindparam, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger, Boolean, LargeBinary

Dialect = Literal["sqlite", "postgresql"]

_DIALECTS = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": postgresql.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
}


class within(ColumnElement[bool]):
    """*column* is one of the values of the list bound to *name*: one compiled statement for lists of any length."""

    inherit_cache = False
    _is_implicitly_boolean = True  # or SQLite is given "… = 1", and reads the whole table
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column, self.name = column, name


@compiles(within, "sqlite")
def _within_sqlite(element: within, compiler: Any, **kwargs: Any) -> str:
    bound = compiler.process(bindparam(element.name), **kwargs)
    value = "bytes_of(value)" if isinstance(element.column.type, LargeBinary) else "value"
    return f"{compiler.process(element.column, **kwargs)} IN (SELECT {value} FROM json_each({bound}))"  # noqa: S608


@compiles(within, "postgresql")
def _within_postgresql(element: within, compiler: Any, **kwargs: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(element.column.type)
    kind = "text" if kind.startswith("VARCHAR") else kind
    bound = compiler.process(bindparam(element.name), **kwargs)
    return f"{compiler.process(element.column, **kwargs)} = ANY({bound}::{kind}[])"


class now_us(FunctionElement[int]):
    """The store's own clock in microseconds since 1970: leases are measured by it, whatever a worker's clock says."""

    inherit_cache = True
    type = BigInteger()


@compiles(now_us, "sqlite")
def _now_sqlite(element: now_us, compiler: Any, **kwargs: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(now_us, "postgresql")
def _now_postgresql(element: now_us, compiler: Any, **kwargs: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


class Statement:
    """A Core statement compiled once for each store.  Its parameters are the statement's bind names.

    ``exact`` says that every row that is written must be there: one that is not means that another writer was faster.
    """

    def __init__(self, statement: ClauseElement, *, exact: bool = False) -> None:
        self._statement = statement
        self.exact = exact
        # A list is always a condition of its own, beside which all others must hold.
        self.listed = {e.column.name: e.name for e in visitors.iterate(statement) if isinstance(e, within)}
        self.lists = frozenset(self.listed.values())
        self.tables = frozenset(e.name for e in visitors.iterate(statement) if isinstance(e, Table))
        self.writes = isinstance(statement, Insert | Update | Delete)
        self.pins = _pins(statement)
        self.key: tuple[str, ...] | None = None
        if isinstance(statement, Insert | Update | Delete):
            table: Any = statement.table
            self.table: str = table.name
            # Which partition a row lies in is no part of what names it.
            primary = [c.name for c in table.primary_key if c.name != "open"]
            if all(name in self.pins for name in primary):
                self.key = tuple(self.pins[name] for name in primary)
        self.sqlite = _written(statement, "sqlite")

    @cached_property
    def postgresql(self) -> str:
        """Compiled when first used: one installation has one store."""
        return _written(self._statement, "postgresql")


def _written(statement: Any, dialect: Dialect) -> str:
    """*statement* as text, its constants in place: an index of open rows serves only who says so in as many words."""
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    text = str(compiled)
    for name, value in compiled.params.items():
        if value is not None:
            constant = _constant(value, dialect)
            bound = rf":{name}\b" if dialect == "sqlite" else rf"%\({name}\)s(::[A-Z]+)?"
            text = re.sub(bound, constant, text)
    return text


def _constant(value: Any, dialect: Dialect) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool) and dialect == "postgresql":
        return "true" if value else "false"
    return str(int(value))


def _pins(statement: Any) -> dict[str, str]:
    """Columns that a statement holds to one value, with the bind name of that value."""
    values: dict[Any, Any] = getattr(statement, "_values", None) or {}
    given = {str(getattr(column, "key", column)): value for column, value in values.items()}
    if isinstance(statement, Insert):
        # What takes the place of a row also changes what is read by the values that the row had.
        replaces = hasattr(getattr(statement, "_post_values_clause", None), "update_values_to_set")
        kept = [c.name for c in statement.table.primary_key] if replaces else given
        return {
            name: value.key
            for name, value in given.items()
            if name in kept and isinstance(value, BindParameter) and value.required
        }
    where = getattr(statement, "whereclause", None)
    if where is None:
        return {}
    parts = where.clauses if isinstance(where, BooleanClauseList) and where.operator is operators.and_ else (where,)
    return {
        part.left.name: part.right.key
        for part in parts
        if isinstance(part, BinaryExpression)
        and part.operator is operators.eq
        and isinstance(part.right, BindParameter)
        and part.right.required
        and getattr(part.left, "table", None) is not None
        and part.left.name not in given
    }


def plain(value: Any) -> Any:
    """*value* in the form in which two of them are compared: ids come as objects and as text."""
    return value.hex if isinstance(value, UUID) else value


def as_list(values: Iterable[Any]) -> str:
    """A list as SQLite is given it; bytes as the text that its ``bytes_of`` reads."""
    return json.dumps([value.hex() if isinstance(value, bytes) else plain(value) for value in values])


def inserting(table: Table, *, ignore: bool = False, replace: bool = False) -> Statement:
    """INSERT of every column of *table*; ``ignore`` and ``replace`` say what a row that is there already means.

    A number that the store counts itself is left to it.
    """
    values: dict[str, Any] = {c.name: bindparam(c.name) for c in table.columns if c.autoincrement is not True}
    primary = [c.name for c in table.primary_key]

    def made(insert: Any) -> Any:
        statement = insert(table).values(values)
        if ignore:
            return statement.on_conflict_do_nothing()
        others = {name: statement.excluded[name] for name in values if name not in primary}
        return statement.on_conflict_do_update(index_elements=primary, set_=others)

    return Upsert(made) if ignore or replace else Statement(table.insert().values(values))


class Upsert(Statement):
    """INSERT … ON CONFLICT, which each dialect has a construct of its own for: *made* gets the dialect's ``insert``."""

    def __init__(self, made: Callable[[Any], Any]) -> None:
        self._made = made
        super().__init__(made(sqlite.insert))

    @cached_property
    def postgresql(self) -> str:
        return _written(self._made(postgresql.insert), "postgresql")


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """*column* is one of *values*, fixed when the statement is compiled (an IN would be expanded at each run)."""
    return or_(*(column == value for value in values))
