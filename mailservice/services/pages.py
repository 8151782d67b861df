"""One page of a long list, and the search that shortens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, UnaryExpression, func, select

from mailservice.database import db, large_joins, matches

__all__ = ["Page", "fetch", "fetch_once", "matches", "rows"]

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`items` of page `number` (from 1); `total` rows in all."""

    items: Sequence[Row]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def first_row(self) -> int:
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last_row(self) -> int:
        return min(self.number * self.size, self.total)


def fetch(query: Select[Any], *, number: int, size: int, rows: bool = False, total: int | None = None) -> Page[Any]:
    """A page of `query` (which has its order); a number beyond the end means the last page.

    The items are the first column of each row, or with `rows` the whole rows. `total`: where it is known already.
    """
    if total is None:
        total = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    number = min(max(1, number), max(1, -(-total // size)))
    found = db.session.execute(query.limit(size).offset((number - 1) * size))
    return Page(found.all() if rows else found.scalars().all(), number, size, total)


def fetch_once(query: Select[Any], *, order: Sequence[Any], number: int, size: int) -> Page[int]:
    """A page of ids, the first column of `query`, whose conditions are costly: they are asked once for the number
    of rows and the page alike. `order` is of columns, each with its direction.
    """
    columns = [column.element if isinstance(column, UnaryExpression) else column for column in order]
    found = query.add_columns(*(c.label(f"order_{n}") for n, c in enumerate(columns))).cte("found")
    places = [found.c[f"order_{n}"] for n in range(len(columns))]
    ordered = [p.desc() if isinstance(c, UnaryExpression) else p for p, c in zip(places, order, strict=True)]
    total = select(func.count()).select_from(found).scalar_subquery()
    id_ = found.c[0]
    asked = select(id_, total).order_by(*ordered).limit(size)
    with large_joins():
        listed = db.session.execute(asked.offset((number - 1) * size)).all()
        is_beyond = not listed and number > 1
        count = db.session.scalar(select(func.count()).select_from(found)) or 0 if is_beyond else 0
    if is_beyond:
        return fetch_once(query, order=order, number=max(1, -(-count // size)), size=size)
    return Page([row[0] for row in listed], number, size, listed[0][1] if listed else 0)


def rows(kind: Any, ids: Sequence[int]) -> list[Any]:
    """The rows with these ids, in this order."""
    found = {row.id: row for row in db.session.scalars(select(kind).where(kind.id.in_(ids)))}
    return [found[number] for number in ids if number in found]
