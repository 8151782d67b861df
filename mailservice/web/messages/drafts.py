"""What the form shows while one writes: the letter as it would be, advice, clients to look at it as."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mailservice.services import readers
from mailservice.web.messages import looking
from mailservice.web.messages.forms import MessageForm
from mailservice.web.messages.views import blueprint


@blueprint.post("/draft")
def draft() -> ResponseReturnValue:
    """Parts of the form's page, made anew from what stands in it; nothing is saved."""
    return render_template("messages/parts.html", look=looking.draft(MessageForm().values()))


@blueprint.post("/draft/preview")
def draft_preview() -> ResponseReturnValue:
    """The letter's HTML alone, for the frame beside the form."""
    return looking.frame(looking.draft(MessageForm().values()))


@blueprint.get("/readers")
def offered_readers() -> ResponseReturnValue:
    """Some clients whose name or address has the words that are being typed."""
    found = readers.offer(current_user, request.args.get("who", ""))
    return render_template("messages/readers.html", clients=found)
