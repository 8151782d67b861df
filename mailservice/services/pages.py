"""One page of a long list, and the search that shortens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select

from mailservice.database import db, matches

__all__ = ["Page", "fetch", "matches"]

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


def fetch(query: Select[Any], *, number: int, size: int, rows: bool = False) -> Page[Any]:
    """A page of `query` (which has its order); a number beyond the end means the last page.

    The items are the first column of each row, or with `rows` the whole rows.
    """
    total = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    number = min(max(1, number), max(1, -(-total // size)))
    found = db.session.execute(query.limit(size).offset((number - 1) * size))
    return Page(found.all() if rows else found.scalars().all(), number, size, total)
