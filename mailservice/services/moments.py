"""Moments as numbers that both databases group by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func, literal_column

from mailservice.database import db


def since_epoch(moment: Any, seconds: int) -> ColumnElement[int]:
    """How many stretches of so many seconds lie between 1970 and a moment."""
    # Written out, since a database does not take two bound values for the same expression in SELECT and GROUP BY.
    length: ColumnElement[int] = literal_column(str(int(seconds)))
    if db.engine.dialect.name == "sqlite":
        return cast(func.strftime(literal_column("'%s'"), moment), BigInteger) // length
    number: ColumnElement[int] = cast(func.floor(extract("epoch", moment) / length), BigInteger)
    return number
