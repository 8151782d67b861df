"""Filters of the lists: one control each, whose values are checked before a database hears of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from flask_admin.model.filters import BaseFilter
from flask_login import current_user
from sqlalchemy import ColumnElement, select

from mailservice import clock
from mailservice.errors import Invalid
from mailservice.models import Event, User
from mailservice.services import addresses, ids

YEARS = range(2000, 2101)
ABOUT = re.compile(r"([a-z]{1,30})-(\d{1,18})", re.ASCII)


class Filter(BaseFilter):
    """`arg` names it in the address; `condition` is the question for a value that `clean` has let through.

    `quiet`: links use it, and it is shown only when they have.
    """

    kind = "text"

    def __init__(self, arg: str, name: Any, condition: Callable[[Any], ColumnElement[bool]], *, quiet: bool = False):
        super().__init__(name)
        self.arg, self.condition, self.quiet = arg, condition, quiet

    def operation(self) -> str:
        return ""

    def apply(self, query: Any, value: Any, alias: Any = None) -> Any:
        return query.filter(self.condition(value))


class Choice(Filter):
    """One of a few words."""

    kind = "choice"

    def __init__(self, arg: str, name: Any, condition: Callable[[str], ColumnElement[bool]], words: Mapping[Any, Any]):
        super().__init__(arg, name, condition)
        self.words = {str(value): word for value, word in words.items()}

    def clean(self, value: str) -> str:
        if value not in self.words:
            raise ValueError(value)
        return value


class Number(Filter):
    """The number of a row, as the addresses of pages have it."""

    kind = "number"

    def clean(self, value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 19 and ids.possible(int(value))):
            raise ValueError(value)
        return int(value)


class Person(Filter):
    """A user, by his whole address; `condition` takes the question for his id."""

    def __init__(self, arg: str, name: Any, condition: Callable[[Any], ColumnElement[bool]]):
        super().__init__(arg, name, lambda email: condition(select(User.id).where(User.email_normalised == email)))

    def clean(self, value: str) -> str:
        try:
            return addresses.parse(value).normalised
        except Invalid:
            raise ValueError(value) from None


class Since(Filter):
    """From the beginning of a day on, where the manager is."""

    kind = "date"

    def __init__(self, arg: str, name: Any, column: Any):
        super().__init__(arg, name, lambda moment: column >= moment)

    def clean(self, value: str) -> datetime:
        return midnight(day(value))


class Until(Since):
    """To the end of a day."""

    def __init__(self, arg: str, name: Any, column: Any):
        Filter.__init__(self, arg, name, lambda moment: column < moment)

    def clean(self, value: str) -> datetime:
        return midnight(day(value) + timedelta(days=1))


class About(Filter):
    """What an event was done to: “mailing-12”."""

    def __init__(self, arg: str, name: Any):
        super().__init__(arg, name, self._is_about, quiet=True)

    def clean(self, value: str) -> tuple[str, int]:
        found = ABOUT.fullmatch(value)
        if not found:
            raise ValueError(value)
        return found[1], int(found[2])

    @staticmethod
    def _is_about(subject: tuple[str, int]) -> ColumnElement[bool]:
        return (Event.subject_type == subject[0]) & (Event.subject_id == subject[1])


def days(column: Any, since: Any, until: Any) -> tuple[Since, Until]:
    """Both ends of a time."""
    return Since("since", since, column), Until("until", until, column)


def day(value: str) -> date:
    found = date.fromisoformat(value)
    if found.year not in YEARS:
        raise ValueError(value)
    return found


def midnight(day: date) -> datetime:
    """The beginning of a day where the manager is."""
    return clock.to_utc(datetime.combine(day, time()), current_user.time_zone)
