"""Words of the desk: what was done, and to what."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from mailservice.models import Event, Role, SuppressionReason, User
from mailservice.services.audit import Action
from mailservice.web import states
from mailservice.web.suppressions.words import REASONS as SUPPRESSIONS

ROLES = {
    Role.USER: _l("user"),
    Role.MANAGER: _l("manager"),
    Role.ADMIN: _l("administrator"),
}
LANGUAGES = {"ru": _l("Russian"), "en": _l("English")}
ACTIONS: dict[str, Any] = {
    Action.SIGNED_IN: _l("signed in"),
    Action.SIGNED_OUT: _l("signed out"),
    Action.SIGNED_OUT_EVERYWHERE: _l("signed out everywhere"),
    Action.REGISTERED: _l("registered"),
    Action.PASSWORD_CHANGED: _l("changed the password"),
    Action.ADDRESS_CONFIRMED: _l("confirmed the address"),
    Action.ADDRESS_CHANGE_ASKED: _l("asked for another address"),
    Action.ADDRESS_CHANGED: _l("changed the address"),
    Action.ACCOUNT_DELETED: _l("deleted the account"),
    Action.USER_CREATED: _l("made a user"),
    Action.ROLE_CHANGED: _l("changed a role"),
    Action.EDITOR_RIGHT_GIVEN: _l("gave the right to write the blog"),
    Action.EDITOR_RIGHT_TAKEN: _l("took the right to write the blog"),
    Action.BLOCKED: _l("blocked a user"),
    Action.UNBLOCKED: _l("let a user in again"),
    Action.MAILING_DISABLED: _l("disabled a mailing"),
    Action.MAILING_ENABLED: _l("enabled a mailing"),
    Action.EXPORTED: _l("exported a list"),
    Action.SUPPRESSED: _l("put addresses on the stop list"),
    Action.SUPPRESSION_LIFTED: _l("took an address off the stop list"),
    Action.SIGN_UP_FORM_CHANGED: _l("changed the sign-up form"),
    Action.SENT_AGAIN: _l("sent letters again"),
    Action.IMPORTED: _l("imported clients"),
    Action.IMPORT_UNDONE: _l("undid an import"),
    Action.TEST_SENT: _l("sent a test of a message"),
    Action.DEMO_LOADED: _l("loaded the demonstration"),
    Action.DEMO_HELD: _l("paused the demonstration"),
}
DETAILS: dict[str, Any] = {
    "reason": _l("reason"),
    "title": _l("title"),
    "role": _l("role"),
    "before": _l("before"),
    "after": _l("after"),
    "list": _l("list"),
    "rows": _l("rows"),
    "to": _l("to"),
    "by": _l("by"),
    "mailings": _l("mailings"),
    "was": _l("reason"),
    "state": _l("state"),
    "letters": _l("letters"),
    "format": _l("format"),
    "new": _l("new"),
    "changed": _l("changed"),
    "removed": _l("removed"),
    "restored": _l("restored"),
}
SUBJECTS = {
    "user": _l("user %(number)s"),
    "mailing": _l("mailing %(number)s"),
    "attempt": _l("attempt %(number)s"),
    "import": _l("import %(number)s"),
    "message": _l("message %(number)s"),
}
LISTS = {
    "users": _l("users"),
    "mailings": _l("mailings"),
    "attempts": _l("attempts"),
    "deliveries": _l("letters"),
    "messages": _l("messages"),
    "clients": _l("clients"),
    "suppressions": _l("stop list"),
    "events": _l("events"),
    "posts": _l("posts"),
}
# The lists in which the subjects of events stand.
PAGES = {"user": "users", "mailing": "mailings", "attempt": "attempts", "message": "messages"}
QUEUES = {"accounts": _l("account letters"), "ticks": _l("planning"), "sending": _l("sending")}
WORKERS = {"idle": _l("idle"), "busy": _l("busy"), "started": _l("starting"), "suspended": _l("suspended")}
STANDINGS = {"active": _l("active"), "blocked": _l("blocked"), "unconfirmed": _l("not confirmed")}
STANDING_COLOURS = {"active": "sent", "blocked": "failed", "unconfirmed": "waiting"}
POSTS = {
    "draft": _l("draft"),
    "planned": lazy_pgettext("post", "planned"),
    "published": _l("published"),
}
POST_COLOURS = {"draft": "skipped", "planned": "waiting", "published": "sent"}


def role(user: User) -> str:
    """With the right to write the blog, where it does not come with the role."""
    word = str(ROLES[user.role])
    return _("%(role)s, writes the blog", role=word) if user.is_editor and user.role is not Role.ADMIN else word


def standing(user: User) -> str:
    """How an account stands, as a key of STANDINGS."""
    if user.blocked_at:
        return "blocked"
    return "active" if user.is_confirmed else "unconfirmed"


def actor(event: Event) -> str:
    """Who did it: his address; an actor who is gone is nobody, and the command line has no address."""
    if event.actor:
        return event.actor.email
    return _("somebody who is gone") if event.address else _("the command line")


def subject(event: Event, name: str) -> str:
    """What it was done to: by name, or by number when it is gone; nothing where people did it to themselves."""
    if event.subject_type == "user" and event.subject_id == event.actor_id:
        return ""
    if name or event.subject_type is None:
        return name
    word = SUBJECTS.get(event.subject_type)
    return str(word % {"number": event.subject_id}) if word else f"{event.subject_type} {event.subject_id}"


def page_of_subject(event: Event) -> tuple[str, int] | None:
    """The list and the number of its row."""
    slug = PAGES.get(event.subject_type or "")
    return (slug, event.subject_id) if slug and event.subject_id else None


def details(detail: dict[str, Any]) -> str:
    """“reason: spam, title: News”."""
    told = {key: value for key, value in detail.items() if value not in (None, "", []) and not isinstance(value, bool)}
    return "; ".join(
        _("%(name)s: %(value)s", name=DETAILS.get(key, key), value=_value(key, value)) for key, value in told.items()
    )


def _value(key: str, value: Any) -> Any:
    if key in ("role", "before", "after") and value in set(Role):
        return ROLES[Role(value)]
    if key == "was" and value in set(SuppressionReason):
        return SUPPRESSIONS[SuppressionReason(value)]
    if key == "by" and value == "letter":
        return _("the link in a letter")
    if key in ("list", "state"):
        return {"list": LISTS, "state": states.WORDS}[key].get(str(value), value)
    return len(value) if isinstance(value, list) else value
