"""Forms: a client, the conditions that a list or a saved filter has, an act on many clients, a tag's name."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict
from wtforms import (
    DateField,
    Field,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional, ValidationError

from mailservice.errors import Invalid
from mailservice.models import User
from mailservice.sending import conditions
from mailservice.sending.conditions import MOST_DAYS, YEARS, Conditions, Nonsense, Standing
from mailservice.services import addresses, clients, filters, tags, texts
from mailservice.services.ids import BIGGEST
from mailservice.services.many_clients import Act, Chosen
from mailservice.web.forms import Form, checked, errors_beside, options

LONGEST_TAGS = 3000  # a field of names


class ClientForm(Form):
    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST), checked(addresses.parse)])
    full_name = StringField(
        _l("Full name"),
        [
            Optional(),
            Length(max=clients.LONGEST_NAME),
            checked(texts.one_line, field="full_name", longest=clients.LONGEST_NAME),
        ],
    )
    tagged = StringField(_l("Tags"), [Optional(), Length(max=LONGEST_TAGS), checked(tags.parse)], name="tags")
    comment = TextAreaField(
        _l("Comment"),
        [
            Optional(),
            Length(max=clients.LONGEST_COMMENT),
            checked(texts.many_lines, field="comment", longest=clients.LONGEST_COMMENT),
        ],
    )


class ConditionsForm(Form):
    """Read from an address or a form alike: it changes nothing, so it asks for no token (POST does, in any case)."""

    class Meta:
        csrf = False

    q = StringField(_l("Address, name or comment"))
    any = StringField(_l("With any of the tags"), [Optional(), Length(max=LONGEST_TAGS)])
    all = StringField(_l("With all of the tags"), [Optional(), Length(max=LONGEST_TAGS)])
    none = StringField(_l("With none of the tags"), [Optional(), Length(max=LONGEST_TAGS)])
    domain = StringField(_l("Domain"), [Optional(), Length(max=1000)])
    since = DateField(_l("Added from"), [Optional()])
    until = DateField(_l("Added until"), [Optional()])
    days = IntegerField(_l("Added in the last … days"), [Optional(), NumberRange(1, MOST_DAYS)])
    got = SelectField(_l("Received the mailing"), default="")
    missed = SelectField(_l("Did not receive the mailing"), default="")
    state = SelectField(_l("State"), default="")

    def validate_since(self, field: Field) -> None:
        if field.data and field.data.year not in YEARS:
            raise ValidationError(_("The year must be between %(first)s and %(last)s.", first=YEARS[0], last=YEARS[-1]))

    def validate_until(self, field: Field) -> None:
        self.validate_since(field)
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError(_("This day is before the first one."))

    def validate_missed(self, field: Field) -> None:
        if field.data and field.data == self.got.data:
            raise ValidationError(_("Choose two different mailings: nobody both received one and did not."))

    def offer(self, owner: User, *, also: Collection[int] = ()) -> None:
        """Fills the choices with what the owner has; `also`: ids of mailings that stand in a filter already."""
        any_of_them = {"": _("does not matter")}
        titles = {str(id_): title for id_, title in filters.mailing_choices(owner, also=also)}
        standings = {Standing.MAILABLE.value: _("may be written to"), Standing.SUPPRESSED.value: _("on the stop list")}
        self.got.choices = self.missed.choices = options((any_of_them | titles).items())
        self.state.choices = options((any_of_them | standings).items())

    def read(self, owner: User) -> Conditions | None:
        """The conditions that the fields say; None when one of them is wrong, with the reason beside it."""
        if not self.validate():
            return None
        with errors_beside(self):
            return Conditions(
                words=texts.search_words(self.q.data),
                any_tags=tags.known(owner, self.any.data or "", field="any"),
                all_tags=tags.known(owner, self.all.data or "", field="all"),
                no_tags=tags.known(owner, self.none.data or "", field="none"),
                domains=filters.domains(self.domain.data or "", field="domain"),
                added_from=self.since.data,
                added_until=self.until.data,
                time_zone=owner.time_zone,
                added_days=self.days.data,
                got=_number(self.got.data),
                not_got=_number(self.missed.data),
                standing=Standing(self.state.data) if self.state.data else None,
            )
        return None


def fields_of(owner: User, wanted: Conditions) -> dict[str, Any]:
    """What stands in the form's fields, and in the address of a list, for these conditions."""
    values = {
        "q": wanted.words,
        "any": ", ".join(tags.names(owner, wanted.any_tags)),
        "all": ", ".join(tags.names(owner, wanted.all_tags)),
        "none": ", ".join(tags.names(owner, wanted.no_tags)),
        "domain": ", ".join(wanted.domains),
        "since": wanted.added_from,
        "until": wanted.added_until,
        "days": wanted.added_days,
        "got": wanted.got and str(wanted.got),
        "missed": wanted.not_got and str(wanted.not_got),
        "state": wanted.standing and wanted.standing.value,
    }
    return {name: value for name, value in values.items() if value}


class SavedFilterForm(ConditionsForm):
    name = StringField(_l("Name of the filter"), [Length(max=filters.LONGEST_NAME)])


class TagForm(Form):
    name = StringField(_l("Name"), [DataRequired(), Length(max=tags.LONGEST_NAME)])


class MergeTagForm(Form):
    into = SelectField(_l("Merge into"), coerce=int)


class BulkForm(Form):
    """An act on many clients: what to do, to whom, and how far it is done."""

    act = SelectField(choices=[act.value for act in Act])
    scope = SelectField(choices=["ticked", "all"])
    client = SelectMultipleField(coerce=int, validate_choice=False)
    named = StringField(_l("Tags"), [Length(max=LONGEST_TAGS)])
    wanted = HiddenField()
    counted = IntegerField(validators=[Optional()])
    after = IntegerField(validators=[Optional(), NumberRange(0, BIGGEST)])
    until = IntegerField(validators=[Optional(), NumberRange(0, BIGGEST)])
    done = IntegerField(validators=[Optional()])

    def conditions(self) -> Conditions:
        """What the list was filtered by; Invalid when it is nonsense."""
        try:
            return conditions.read(json.loads(self.wanted.data or "{}"))
        except (Nonsense, ValueError, RecursionError):
            raise Invalid(_("The filter cannot be read. Go back to the list and set it again.")) from None

    def chosen(self) -> Chosen:
        if self.scope.data == "all":
            return Chosen(wanted=self.conditions())
        return Chosen(ids=tuple(sorted(set(self.client.data or []))))


def mailings_named(values: MultiDict[str, str]) -> list[int]:
    """Ids of mailings that the fields name, also of such that are too old to be offered."""
    found = (values.get(name, "") for name in ("got", "missed"))
    return [int(text) for text in found if text.isascii() and text.isdigit() and len(text) < 19]


def _number(text: str | None) -> int | None:
    return int(text) if text else None
