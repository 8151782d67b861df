"""The form of a mailing: dates and times as native inputs, clients without one option each."""

from __future__ import annotations

from datetime import datetime, time

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import DataRequired, InputRequired, Optional, ValidationError

from mailservice.errors import Refused
from mailservice.models import Mailing, Periodicity, User
from mailservice.services import audiences, filters, messages, texts
from mailservice.services.audiences import Audience
from mailservice.services.schedule import Schedule
from mailservice.web.forms import Form, changed_since, options
from mailservice.web.mailings import made
from mailservice.web.mailings.words import PERIODICITIES

REQUIRED = DataRequired(_l("This cannot be empty."))
TIMES = ["%H:%M", "%H:%M:%S"]
LAST_MINUTE = time(23, 59)  # an end without a time is the end of its day
KEEP, ALL, CHOSEN, FILTERED = "keep", "all", "chosen", "filtered"
NO_MESSAGE = 0
MOST_GROUPS = 20  # of clients that match some words


class When(Form):
    """The part of the form that says when."""

    start_date = DateField(_l("First send"), validators=[InputRequired(_l("Enter a date."))])
    start_time = TimeField(_l("Time"), format=TIMES, validators=[InputRequired(_l("Enter a time."))])
    time_zone = StringField(_l("Time zone"), validators=[REQUIRED])
    periodicity = SelectField(_l("How often"), choices=options(PERIODICITIES.items()))
    end_date = DateField(_l("End"), validators=[Optional()])
    end_time = TimeField(_l("Time"), format=TIMES, validators=[Optional()])

    def plan(self) -> Schedule:
        """The schedule that the fields say."""
        end = None
        if self.end_date.data:
            end = datetime.combine(self.end_date.data, self.end_time.data or LAST_MINUTE)
        return Schedule(
            datetime.combine(self.start_date.data, self.start_time.data),
            self.time_zone.data.strip(),
            Periodicity(self.periodicity.data),
            end,
        )

    def plan_or_none(self) -> Schedule | None:
        """The same while the form is being filled in: None where it does not say enough yet."""
        is_whole = self.start_date.data and self.start_time.data and self.time_zone.data
        return self.plan() if is_whole and self.periodicity.data in list(Periodicity) else None


class MailingForm(When):
    title = StringField(_l("Title"), validators=[REQUIRED], description=_l("For yourself; clients do not see it."))
    message_id = SelectField(_l("Message"), coerce=int)
    audience = RadioField(_l("Clients"))
    filter_ids = SelectMultipleField(_l("Clients by saved filter"), coerce=int, validate_choice=False)
    pasted = TextAreaField(_l("Addresses, one a line"))
    find_words = StringField(_l("Find clients by address or name"))
    form_key = HiddenField()
    standing = HiddenField()  # of the mailing when the form was made: a draft, or started
    ticked = SelectMultipleField(coerce=int, validate_choice=False)
    matching = SelectMultipleField(validate_choice=False)
    leave_out = BooleanField(_l("Leave these addresses out and go on"))

    def validate_message_id(self, field: Field) -> None:
        if field.data == NO_MESSAGE:
            raise ValidationError(_("Choose the message to send."))

    def validate_end_time(self, field: Field) -> None:
        if field.data and not self.end_date.data and not self.end_date.errors:
            raise ValidationError(_("Enter the date too."))

    def validate_filter_ids(self, field: Field) -> None:
        if field.data and self.audience.data == ALL:
            raise ValidationError(_("“All my clients” goes to everybody. Choose “Only by saved filters” instead."))

    def offer(self, owner: User, mailing: Mailing | None = None) -> None:
        """Fills the choices with what the owner has."""
        no_message = [(NO_MESSAGE, _("Choose a message"))] if mailing is None else []
        self.message_id.choices = options([*no_message, *messages.choices(owner)])
        self.filter_ids.choices = options(filters.choices(owner))
        audience = {} if mailing is None else {KEEP: _("Leave as they are")}
        audience |= {ALL: _("All my clients"), CHOSEN: _("Chosen ones")}
        if self.filter_ids.choices:
            audience[FILTERED] = _("Only by saved filters")
        self.audience.choices = options(audience.items())

    def start_new(self, owner: User, message_id: int | None) -> None:
        """What stands in the form of a new mailing."""
        self.message_id.data = message_id or NO_MESSAGE
        self.time_zone.data = owner.time_zone
        self.audience.data = ALL
        self.form_key.data = made.new_key()

    def start_edit(self, mailing: Mailing) -> None:
        """What stands in the form of an existing mailing; a small audience as text, to be edited."""
        self.standing.data = _standing(mailing)
        self.start_date.data, self.start_time.data = mailing.start_local.date(), mailing.start_local.time()
        if mailing.end_local:
            self.end_date.data, self.end_time.data = mailing.end_local.date(), mailing.end_local.time()
        self.periodicity.data = mailing.periodicity.value
        text = audiences.as_text(mailing)
        self.audience.data, self.pasted.data = (KEEP, "") if text is None else (CHOSEN, text)
        self.filter_ids.data = audiences.filter_ids_of(mailing)
        if text == "" and self.filter_ids.data:
            self.audience.data = FILTERED

    def check_standing(self, mailing: Mailing) -> None:
        """Refused when a draft has been started meanwhile: the form said that nothing would be sent yet."""
        if changed_since(self.standing, _standing(mailing)) and not mailing.is_draft:
            raise Refused(
                _(
                    "This mailing has been started meanwhile: what you change holds at once. If that is right, save "
                    "again."
                )
            )

    def collect_ticked(self, owner: User) -> None:
        """Moves what is ticked into the text, so that another search does not lose it."""
        found = audiences.addresses_of(owner, self.ticked.data or [])
        text = (self.pasted.data or "").rstrip()
        known = {line.strip().lower() for line in text.splitlines()}
        added = [address for address in found if address.lower() not in known]
        self.pasted.data = "\n".join(filter(None, [text, *added]))
        self.ticked.data = []
        self.audience.data = CHOSEN

    def matching_words(self) -> list[str]:
        """By which words whole groups of clients are chosen."""
        words = map(texts.search_words, self.matching.data or [])
        return list(filter(None, dict.fromkeys(words)))[:MOST_GROUPS]

    def chosen(self, owner: User) -> Audience | None:
        """The clients that the fields say; None: those that the mailing has."""
        match self.audience.data:
            case "keep":
                return None
            case "all":
                return audiences.everyone()
            case "filtered":
                return Audience()
            case _:
                return audiences.chosen(
                    owner,
                    pasted=self.pasted.data or "",
                    ticked=self.ticked.data or [],
                    matching=self.matching_words(),
                    leave_out=self.leave_out.data,
                )


def _standing(mailing: Mailing) -> str:
    return "draft" if mailing.is_draft else "started"
