"""Conditions on clients: what a saved filter holds, as a value, as JSON, and as one SQL condition."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, literal, or_, select

from mailservice import clock
from mailservice.database import matches
from mailservice.models import Attempt, Client, Delivery, Mailing, Result, State, Suppression, client_tags

MOST_TAGS = 50  # in one condition
MOST_DOMAINS = 50
MOST_DAYS = 3660
LONGEST_WORDS = 200
YEARS = range(2000, 2101)
BIGGEST_ID = 2**63 - 1


class Nonsense(ValueError):
    """These are no conditions."""


class Standing(enum.StrEnum):
    """Whether the owner may mail a client: his address is not on the stop list, or it is."""

    MAILABLE = "mailable"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class Conditions:
    """All of them together; without any, every client of the owner. What makes no sense is refused (Nonsense).

    `any_tags`, `all_tags`, `no_tags` are ids of tags. `added_from` and `added_until` are whole days of `time_zone`,
    both included; `added_days` looks back from the moment of asking. `got` and `not_got` are ids of mailings: a
    letter counts as received when the mail server took it, or may have.
    """

    words: str = ""
    any_tags: tuple[int, ...] = ()
    all_tags: tuple[int, ...] = ()
    no_tags: tuple[int, ...] = ()
    domains: tuple[str, ...] = ()
    added_from: date | None = None
    added_until: date | None = None
    time_zone: str = "UTC"
    added_days: int | None = None
    got: int | None = None
    not_got: int | None = None
    standing: Standing | None = None

    def __post_init__(self) -> None:
        _require(isinstance(self.words, str) and len(self.words) <= LONGEST_WORDS and _is_text(self.words))
        for tags in (self.any_tags, self.all_tags, self.no_tags):
            _require(len(tags) <= MOST_TAGS and all(map(_is_id, tags)))
        _require(len(self.domains) <= MOST_DOMAINS and all(map(_is_domain, self.domains)))
        for day in (self.added_from, self.added_until):
            _require(day is None or (type(day) is date and day.year in YEARS))
        _require(not (self.added_from and self.added_until) or self.added_from <= self.added_until)
        _require(self.added_days is None or (type(self.added_days) is int and 0 < self.added_days <= MOST_DAYS))
        _require(all(number is None or _is_id(number) for number in (self.got, self.not_got)))
        _require(self.got is None or self.got != self.not_got)
        _require(self.standing is None or isinstance(self.standing, Standing))
        _require(isinstance(self.time_zone, str))
        _or_nonsense(ZoneInfo, self.time_zone)

    @property
    def tags(self) -> frozenset[int]:
        return frozenset((*self.any_tags, *self.all_tags, *self.no_tags))

    @property
    def mailings(self) -> frozenset[int]:
        return frozenset(number for number in (self.got, self.not_got) if number is not None)


_DAYS = ("added_from", "added_until")
_LISTS = ("any_tags", "all_tags", "no_tags", "domains")


def as_json(conditions: Conditions) -> dict[str, Any]:
    """What differs from “every client”, as JSON can hold it."""
    values = {f.name: getattr(conditions, f.name) for f in fields(conditions)}
    if not any(values[name] for name in _DAYS):
        del values["time_zone"]
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if value not in ("", [], None)}


def _plain(value: Any) -> Any:
    match value:
        case date():
            return value.isoformat()
        case tuple():
            return list(value)
        case Standing():
            return value.value
    return value


def read(values: object) -> Conditions:
    """The conditions that `as_json` wrote; Nonsense for anything else."""
    _require(isinstance(values, Mapping) and values.keys() <= {f.name for f in fields(Conditions)})
    given: dict[str, Any] = dict(values)  # type: ignore[call-overload]
    for name in given.keys() & set(_LISTS):
        _require(isinstance(given[name], list))
        given[name] = tuple(given[name])
    for name in given.keys() & set(_DAYS):
        _require(isinstance(given[name], str))
        given[name] = _or_nonsense(date.fromisoformat, given[name])
    if "standing" in given:
        given["standing"] = _or_nonsense(Standing, given["standing"])
    return Conditions(**given)


def replace_tag(conditions: Conditions, tag_id: int, by: int) -> Conditions:
    """The same conditions after a tag became another one."""
    lists = {name: getattr(conditions, name) for name in ("any_tags", "all_tags", "no_tags")}
    changed: dict[str, Any] = {name: tuple({by if t == tag_id else t for t in tags}) for name, tags in lists.items()}
    return replace(conditions, **changed)


def where(
    conditions: Conditions, owner_id: int, *, now: datetime, between: tuple[int, int] | None = None
) -> ColumnElement[bool]:
    """The question to `Client`, its owner included. `between` bounds the ids that are asked about, both included."""
    return and_(Client.owner_id == owner_id, *_parts(conditions, owner_id, now, between))


def _parts(c: Conditions, owner_id: int, now: datetime, between: tuple[int, int] | None) -> Iterable[Any]:
    if between:
        yield Client.id.between(*between)
    if c.words:
        yield matches(c.words, Client.email, Client.full_name, Client.comment)
    if c.any_tags:
        yield exists(_tagged(c.any_tags, owner_id, between))
    for tag_id in c.all_tags:
        yield exists(_tagged([tag_id], owner_id, between))
    if c.no_tags:
        yield ~exists(_tagged(c.no_tags, owner_id, between))
    if c.domains:
        yield or_(*(Client.email_normalised.endswith(f"@{domain}", autoescape=True) for domain in c.domains))
    if c.added_from:
        yield Client.created_at >= _midnight(c.added_from, c.time_zone)
    if c.added_until:
        yield Client.created_at < _midnight(c.added_until + timedelta(days=1), c.time_zone)
    if c.added_days:
        yield Client.created_at >= now - timedelta(days=c.added_days)
    if c.got:
        yield exists(_received(c.got, owner_id, between))
    if c.not_got:  # of a mailing that is gone nobody knows who got it: then nobody is meant, rather than everybody
        yield exists(select(Mailing.id).where(Mailing.id == c.not_got, Mailing.owner_id == owner_id).correlate(None))
        yield ~exists(_received(c.not_got, owner_id, between))
    if c.standing:
        suppressed = exists(_suppressed(owner_id))
        yield suppressed if c.standing is Standing.SUPPRESSED else ~suppressed


# Where a slice of clients is asked about, both sides of each join are bounded: else a database without
# statistics would read all rows again for each slice.


def _tagged(tag_ids: Collection[int], owner_id: int, between: tuple[int, int] | None) -> Select[Any]:
    column = client_tags.c.client_id
    query = select(column).where(column == Client.id, client_tags.c.tag_id.in_(tag_ids))
    query = query.where(client_tags.c.owner_id == owner_id)
    return (query.where(column.between(*between)) if between else query).correlate(Client)


def _received(mailing_id: int, owner_id: int, between: tuple[int, int] | None) -> Select[Any]:
    deferred = literal(State.DEFERRED, Result.state.type, literal_execute=True)
    # Of a slice it is the clients that are few: “+ 0” hides the indexes that lead through whole attempts.
    columns: list[Any] = [Delivery.attempt_id, Attempt.mailing_id, Attempt.owner_id]
    attempt_id, of_mailing, of_owner = [column + 0 for column in columns] if between else columns
    query = (
        select(Delivery.id)
        .join(Attempt, Attempt.id == attempt_id)
        .join(Result, Result.delivery_id == Delivery.id)
        .where(
            Delivery.client_id == Client.id,
            of_mailing == mailing_id,
            of_owner == owner_id,
            Result.state.in_([State.SENT, State.UNKNOWN]),
            Result.state != deferred,  # literally, as the partial index says it
        )
    )
    return (query.where(Delivery.client_id.between(*between)) if between else query).correlate(Client)


def _suppressed(owner_id: int) -> Select[Any]:
    is_his = and_(Suppression.owner_id == owner_id, Suppression.email_normalised == Client.email_normalised)
    return select(Suppression.id).where(is_his).correlate(Client)


def _midnight(day: date, time_zone: str) -> datetime:
    return clock.to_utc(datetime.combine(day, time()), time_zone)


def _require(truth: bool) -> None:
    if not truth:
        raise Nonsense


def _or_nonsense(make: Callable[[Any], Any], value: object) -> Any:
    try:
        return make(value)
    except (ValueError, LookupError, OSError) as error:
        raise Nonsense from error


def _is_text(value: str) -> bool:
    return not any(unicodedata.category(c) in {"Cc", "Cs"} for c in value)


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= BIGGEST_ID


def _is_domain(value: object) -> bool:
    """As `Client.email_normalised` ends: lower case, ASCII."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 253
        and value.isascii()
        and value.isprintable()
        and value == value.lower()
        and not set(value) & set(" @,;")
    )
