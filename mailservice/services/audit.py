"""The audit log: who did what, when, to what and from where. Appended, never changed (`models.event` sees to it)."""

from __future__ import annotations

import enum

from mailservice.database import Model, db
from mailservice.models import Event, User


class Action(enum.StrEnum):
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    REGISTERED = "registered"
    PASSWORD_CHANGED = "password_changed"
    ADDRESS_CONFIRMED = "address_confirmed"
    ADDRESS_CHANGE_ASKED = "address_change_asked"
    ADDRESS_CHANGED = "address_changed"
    ACCOUNT_DELETED = "account_deleted"
    USER_CREATED = "user_created"  # on the command line
    ROLE_CHANGED = "role_changed"
    EDITOR_RIGHT_GIVEN = "editor_right_given"
    EDITOR_RIGHT_TAKEN = "editor_right_taken"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    MAILING_DISABLED = "mailing_disabled"
    MAILING_ENABLED = "mailing_enabled"
    EXPORTED = "exported"
    SUPPRESSED = "suppressed"  # addresses put on the stop list by hand
    SUPPRESSION_LIFTED = "suppression_lifted"
    SIGN_UP_FORM_CHANGED = "sign_up_form_changed"
    SENT_AGAIN = "sent_again"
    IMPORTED = "imported"
    IMPORT_UNDONE = "import_undone"
    TEST_SENT = "test_sent"  # of a message
    DEMO_LOADED = "demo.load"
    DEMO_HELD = "demo.hold"  # its mailings were paused, because mail goes to a real server


def note(
    actor: User | None,
    action: Action,
    *,
    subject: Model | None = None,
    address: str | None = None,
    **detail: str | int | None,
) -> None:
    """Adds an event; the caller's transaction commits it together with what it tells of.

    Without an actor it was done on the command line. `address` is the network address that it came from.
    """
    if subject is not None:
        db.session.flush()  # a new row has its id only now
    db.session.add(
        Event(
            actor_id=actor.id if actor else None,
            action=action.value,
            subject_type=type(subject).__name__.lower() if subject is not None else None,
            subject_id=getattr(subject, "id", None),
            detail=detail,
            address=address,
        )
    )
