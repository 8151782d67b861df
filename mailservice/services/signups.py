"""The sign-up form: an owner offers it, anybody asks, and the letter's link proves whose address it is."""

from __future__ import annotations

from datetime import timedelta

from flask_babel import gettext as _
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from config import LANGUAGES
from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, ClientSource, SignUp, SignUpForm, SuppressionReason, Turn, User
from mailservice.services import addresses, audit, consents, texts, unsubscribing
from mailservice.services.audit import Action

LONGEST_TITLE = 200
LONGEST_TEXT = 2000
LONGEST_NAME = 200
LIFETIME = timedelta(days=7)  # of a request that nobody confirms
QUICKEST = timedelta(seconds=2)  # in which a person fills in a form; stamps have whole seconds
SLOWEST = timedelta(hours=12)


def form_of(owner: User) -> SignUpForm | None:
    return db.session.scalars(select(SignUpForm).where(SignUpForm.owner_id == owner.id)).one_or_none()


def save_form(
    owner: User, *, is_open: bool, title: str, text: str, consent_text: str, language: str, address: str | None = None
) -> SignUpForm:
    """Invalid beside the field that is wrong. The public address stays as it is once it is made."""
    if language not in LANGUAGES:
        raise Invalid(_("Choose a language from the list."), field="language")
    consents.lock(owner.id)
    form = form_of(owner) or SignUpForm(owner_id=owner.id)
    form.is_open, form.language = is_open, language
    form.title = texts.required(texts.one_line(title, field="title", longest=LONGEST_TITLE), field="title")
    form.text = texts.many_lines(text, field="text", longest=LONGEST_TEXT).strip()
    agreed = texts.many_lines(consent_text, field="consent_text", longest=LONGEST_TEXT).strip()
    form.consent_text = texts.required(agreed, field="consent_text")
    db.session.add(form)
    audit.note(owner, Action.SIGN_UP_FORM_CHANGED, subject=owner, address=address)
    return form


def open_form(key: str) -> SignUpForm:
    """The form at this public address; NotFound when there is none, or it takes nobody now."""
    query = select(SignUpForm).where(SignUpForm.key == key) if key.isascii() and "\0" not in key else None
    form = db.session.scalars(query).one_or_none() if query is not None else None
    if form is None or not form.is_open or not _may_sign_up_with(form.owner):
        raise NotFound(_("There is no such form."))
    return form


def stamp(form: SignUpForm, *, secret: str) -> str:
    """Goes into the page's form and says when the page was made."""
    return str(_serializer("shown", secret).dumps(form.key))


def was_read(form: SignUpForm, text: str, *, secret: str) -> bool:
    """Whether `text` is this form's stamp, old enough for a person to have filled it in, and not from long ago."""
    longest = int(SLOWEST.total_seconds())
    try:
        key, made = _serializer("shown", secret).loads(text, return_timestamp=True, max_age=longest)
    except BadData:
        return False
    return key == form.key and clock.now() - made >= QUICKEST


def ask(form: SignUpForm, *, email: str, full_name: str, address: str | None, browser: str) -> SignUp:
    """A request that waits for its confirmation; Invalid beside the field that is wrong.

    The same for every address, whatever stands about it here: what differs, differs after the confirmation.
    """
    found = addresses.parse(email)
    name = texts.one_line(full_name, field="full_name", longest=LONGEST_NAME)
    consents.lock(form.owner_id)
    query = select(SignUp).where(SignUp.owner_id == form.owner_id, SignUp.email_normalised == found.normalised)
    row = db.session.scalars(query).one_or_none()
    if row is None:
        row = SignUp(owner_id=form.owner_id, email_normalised=found.normalised)
    row.email, row.full_name, row.consent_text = found.given, name, form.consent_text
    row.asked_at, row.address, row.browser = clock.now(), address, browser[:300]
    db.session.add(row)
    db.session.flush()
    return row


def token(row: SignUp, *, secret: str) -> str:
    """For the letter's link."""
    return str(_serializer("asked", secret).dumps([row.id, row.email_normalised]))


def asked(text: str, *, secret: str) -> SignUp:
    """The request of this link; Refused when it is forged, forgotten or confirmed already."""
    try:
        row_id, email = _serializer("asked", secret).loads(text, max_age=int(LIFETIME.total_seconds()))
    except (BadData, ValueError, TypeError):
        raise Refused(_("This link is not valid or no longer valid.")) from None
    row = db.session.get(SignUp, row_id)
    if row is None or row.email_normalised != email or not _may_sign_up_with(row.owner):
        raise Refused(_("This link has been used already or is no longer valid."))
    return row


def confirm(text: str, *, secret: str, address: str | None, browser: str) -> Turn:
    """The address is among the owner's clients, with the proof; whoever had unsubscribed is back.

    What else stands on the stop list only the owner lifts: he sees that the person asked.
    """
    owner = consents.lock(asked(text, secret=secret).owner_id)
    db.session.expire_all()  # another click may have been quicker
    row = asked(text, secret=secret)
    if owner is None:
        raise Refused(_("This link has been used already or is no longer valid."))
    form = form_of(owner)
    proof = {
        "text": row.consent_text,
        "form": form.title if form else "",
        "asked_at": row.asked_at.isoformat(timespec="seconds"),
        "asked_from": row.address or "",
        "browser": browser[:300],
    }
    _add_client(row, form)
    turn = _let_back(row, address, proof)
    db.session.delete(row)
    return turn


def forget() -> None:
    """Requests that nobody confirmed in time."""
    db.session.execute(delete(SignUp).where(SignUp.asked_at < clock.now() - LIFETIME))


def _let_back(row: SignUp, address: str | None, proof: dict[str, str]) -> Turn:
    """The turn that the confirmation is; whoever had unsubscribed from what was stopped before is not back by it."""
    found = unsubscribing.standing(row.owner_id, email_normalised=row.email_normalised)
    turn = Turn.CONFIRMED if found is None else Turn.ASKED_BACK
    if found is not None and found.reason is SuppressionReason.UNSUBSCRIBED:
        turn = Turn.ASKED_BACK if found.before else Turn.RETURNED
        unsubscribing.lift(found)
    consents.note(row.owner_id, row.email_normalised, turn, address=address, **proof)
    return turn


def _add_client(row: SignUp, form: SignUpForm | None) -> None:
    """A client who is there keeps his name, unless he has none."""
    query = select(Client).where(Client.owner_id == row.owner_id, Client.email_normalised == row.email_normalised)
    client = db.session.scalars(query).one_or_none()
    if client is None:
        values = {"email": row.email, "email_normalised": row.email_normalised, "full_name": row.full_name}
        source = {"source": ClientSource.FORM, "source_detail": form.title if form else ""}
        try:
            with db.session.begin_nested():
                db.session.add(Client(owner_id=row.owner_id, **values, **source))
            return
        except IntegrityError:  # the owner was quicker by a moment
            client = db.session.scalars(query).one()
    client.full_name = client.full_name or row.full_name
    client.updated_at = clock.now()  # he is his own by now: the undoing of an import leaves him


def _may_sign_up_with(owner: User) -> bool:
    return owner.is_active and owner.is_confirmed


def _serializer(purpose: str, secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"mailservice.sign-up.{purpose}")
