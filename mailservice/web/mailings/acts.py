"""What is done to mailings by buttons: pausing, resuming, stopping an attempt, copying, deleting; to one or to many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Mailing
from mailservice.queues import Job, enqueue
from mailservice.services import mailings, many_mailings
from mailservice.services.many_mailings import Done
from mailservice.web.mailings.blueprint import blueprint

LIST = ("q", "state", "sort", "size", "page")  # what says which part of the list somebody came from
NAMED = 3  # mailings that a message names
ACTS = {"pause": many_mailings.pause, "resume": many_mailings.resume, "delete": many_mailings.delete}


@blueprint.post("/<int:mailing_id>/delete")
def delete(mailing_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            mailings.delete(mailings.own(current_user, mailing_id, lock=True))
    except Refused as error:
        flash(error.message, "error")
        return redirect(url_for(".show", mailing_id=mailing_id))
    flash(_("The mailing and its attempts are deleted."))
    return redirect(url_for(".index"))


@blueprint.post("/<int:mailing_id>/duplicate")
def duplicate(mailing_id: int) -> ResponseReturnValue:
    with transaction():
        made = mailings.duplicate(mailings.own(current_user, mailing_id, lock=True)).id
    flash(_("This is the copy. It is a draft: nothing is sent until you start it."))
    return redirect(url_for(".edit", mailing_id=made))


@blueprint.post("/<int:mailing_id>/pause")
def pause(mailing_id: int) -> ResponseReturnValue:
    if title := _do(mailings.pause, mailing_id):
        flash(_("“%(title)s” is paused.", title=title))
    return redirect(url_for(".show", mailing_id=mailing_id))


@blueprint.post("/<int:mailing_id>/resume")
def resume(mailing_id: int) -> ResponseReturnValue:
    if title := _do(mailings.resume, mailing_id):
        enqueue(Job.TICK)
        flash(_("“%(title)s” goes on.", title=title))
    return redirect(url_for(".show", mailing_id=mailing_id))


@blueprint.post("/<int:mailing_id>/cancel")
def cancel(mailing_id: int) -> ResponseReturnValue:
    if title := _do(mailings.cancel, mailing_id):
        enqueue(Job.TICK)
        flash(_("The rest of “%(title)s” will not be sent.", title=title))
    return redirect(url_for(".show", mailing_id=mailing_id))


def _do(act: Callable[[Mailing], Mailing], mailing_id: int) -> str:
    """The title of the mailing that it was done to; empty where it was refused, and the person told why."""
    try:
        with transaction():
            return act(mailings.own(current_user, mailing_id, lock=True)).title
    except Refused as error:
        flash(error.message, "error")
        return ""


@blueprint.post("/bulk")
def many() -> ResponseReturnValue:
    """One act on the mailings that are ticked; deleting asks first."""
    kept: dict[str, Any] = {name: request.args[name] for name in LIST if name in request.args}
    ids, act = request.form.getlist("ids", type=int), request.form.get("act", "")
    if not ids or act not in ACTS:
        flash(_("Tick the mailings first."), "warning")
    elif act == "delete" and "confirmed" not in request.form:
        return render_template("mailings/delete.html", chosen=many_mailings.chosen(current_user, ids), kept=kept)
    else:
        with transaction():
            done = ACTS[act](current_user, ids)
        if act == "resume":
            enqueue(Job.TICK)
        _tell(act, done)
    return redirect(url_for(".index", **kept))


def _tell(act: str, done: Done) -> None:
    n = done.number
    match act:
        case "pause":
            said = ngettext("%(num)s mailing is paused.", "%(num)s mailings are paused.", n)
        case "resume":
            said = ngettext("%(num)s mailing goes on.", "%(num)s mailings go on.", n)
        case _:
            said = ngettext("%(num)s mailing is deleted.", "%(num)s mailings are deleted.", n)
    if n:
        flash(said)
    for title, why in done.refused[:NAMED]:
        flash(_("“%(title)s”: %(why)s", title=title, why=why), "warning")
    more = len(done.refused) - NAMED
    if more > 0:
        flash(ngettext("And %(num)s more was left as it is.", "And %(num)s more were left as they are.", more))
