"""Conditions as people say them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from flask_babel import format_date, ngettext
from flask_babel import gettext as _

from mailservice.models import User
from mailservice.sending.conditions import Conditions, Standing
from mailservice.services import filters, tags


class Part(NamedTuple):
    """One condition: the field it stands in, and its words."""

    field: str
    text: str


def parts(owner: User, wanted: Conditions) -> list[Part]:
    """Empty for “all clients”."""
    return list(_parts(owner, wanted))


def _parts(owner: User, wanted: Conditions) -> Iterator[Part]:
    if wanted.words:
        yield Part("q", f"“{wanted.words}”")
    for field, word, tag_ids in (
        ("any", _("with any of"), wanted.any_tags),
        ("all", _("with all of"), wanted.all_tags),
        ("none", _("with none of"), wanted.no_tags),
    ):
        if tag_ids:
            yield Part(field, f"{word}: {', '.join(tags.names(owner, tag_ids))}")
    if wanted.domains:
        yield Part("domain", ", ".join(f"@{domain}" for domain in wanted.domains))
    if wanted.added_from:
        yield Part("since", _("added from %(day)s", day=_day(wanted.added_from)))
    if wanted.added_until:
        yield Part("until", _("added until %(day)s", day=_day(wanted.added_until)))
    if wanted.added_days:
        days = wanted.added_days
        yield Part("days", ngettext("added in the last %(num)d day", "added in the last %(num)d days", days))
    titles = dict(filters.mailing_choices(owner, also=wanted.mailings)) if wanted.mailings else {}
    if wanted.got:
        yield Part("got", _("received “%(title)s”", title=titles.get(wanted.got, "–")))
    if wanted.not_got:
        yield Part("missed", _("did not receive “%(title)s”", title=titles.get(wanted.not_got, "–")))
    if wanted.standing:
        is_mailable = wanted.standing is Standing.MAILABLE
        yield Part("state", _("may be written to") if is_mailable else _("on the stop list"))


def _day(day: date) -> str:
    return str(format_date(day, "d MMM y"))
