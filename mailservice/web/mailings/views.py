"""Mailings: list, page, form, pausing, deleting."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import clock
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Mailing
from mailservice.queues import Job, enqueue
from mailservice.services import audiences, mailings, messages, reports, schedule, texts, zones
from mailservice.services import filters as saved_filters
from mailservice.services.audiences import Audience
from mailservice.services.counting import counts_of
from mailservice.services.mailings import Phase
from mailservice.web import filters, forms, paging
from mailservice.web.mailings import made
from mailservice.web.mailings import words as say
from mailservice.web.mailings.forms import MailingForm

blueprint = Blueprint("mailings", __name__, url_prefix="/mailings")
FIRINGS = 5
ATTEMPTS = 5
CLIENTS = 25


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    return {"say": say}


@blueprint.get("")
def index() -> ResponseReturnValue:
    words = texts.search_words(request.args.get("q"))
    phase = None
    with suppress(ValueError):
        phase = Phase(request.args.get("state", ""))
    page = mailings.search(current_user, words=words, phase=phase, **paging.asked())
    phases = mailings.phases(current_user)
    return render_template("mailings/index.html", page=page, words=words, phase=phase, phases=phases, Phase=Phase)


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = MailingForm()
    form.offer(current_user)
    if not form.is_submitted():
        form.start_new(current_user, request.args.get("message", type=int))
    elif made_before := made.by(form.form_key.data):
        return redirect(url_for(".show", mailing_id=made_before))
    elif _wants_to_find(form):
        form.collect_ticked(current_user)
    elif form.validate():
        with forms.errors_beside(form), transaction():
            audience = form.chosen(current_user) or Audience()
            mailing = mailings.create(current_user, audience=audience, **_values(form))
        if not form.errors:
            enqueue(Job.TICK)
            made.remember(form.form_key.data, mailing.id)
            flash(_what_follows(mailing))
            return redirect(url_for(".show", mailing_id=mailing.id))
    return _form_page(form, None)


@blueprint.route("/<int:mailing_id>/edit", methods=["GET", "POST"])
def edit(mailing_id: int) -> ResponseReturnValue:
    mailing = mailings.own(current_user, mailing_id)
    form = MailingForm(obj=mailing)
    form.offer(current_user, mailing)
    if not form.is_submitted():
        form.start_edit(mailing)
    elif _wants_to_find(form):
        form.collect_ticked(current_user)
    elif form.validate():
        with forms.errors_beside(form), transaction():
            mailing = mailings.own(current_user, mailing_id, lock=True)
            mailings.update(mailing, current_user, audience=form.chosen(current_user), **_values(form))
        if not form.errors:
            enqueue(Job.TICK)
            flash(_what_follows(mailing))
            return redirect(url_for(".show", mailing_id=mailing_id))
    return _form_page(form, mailing)


@blueprint.get("/<int:mailing_id>")
def show(mailing_id: int) -> ResponseReturnValue:
    mailing = mailings.own(current_user, mailing_id)
    words = texts.search_words(request.args.get("q"))
    running = mailings.open_attempt(mailing)
    return render_template(
        "mailings/show.html",
        mailing=mailing,
        phase=mailings.phase_of(mailing),
        open_attempt=running,
        open_counts=counts_of([running])[running.id] if running else None,
        disabled_by=mailings.disabled_by(mailing),
        firings=list(islice(schedule.of(mailing).firings(after=clock.now()), FIRINGS)),
        attempts=reports.attempts(current_user, mailing_id=mailing_id, size=ATTEMPTS),
        audience=audiences.count(mailing),
        filters=saved_filters.of_mailing(mailing),
        clients=audiences.members(mailing, words=words, **paging.asked() | {"size": CLIENTS}),
        words=words,
        now=clock.now,
    )


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


@blueprint.post("/<int:mailing_id>/pause")
def pause(mailing_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            mailing = mailings.pause(mailings.own(current_user, mailing_id, lock=True))
        flash(_("“%(title)s” is paused.", title=mailing.title))
    except Refused as error:
        flash(error.message, "error")
    return redirect(url_for(".show", mailing_id=mailing_id))


@blueprint.post("/<int:mailing_id>/cancel")
def cancel(mailing_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            mailing = mailings.cancel(mailings.own(current_user, mailing_id, lock=True))
        enqueue(Job.TICK)
        flash(_("The rest of “%(title)s” will not be sent.", title=mailing.title))
    except Refused as error:
        flash(error.message, "error")
    return redirect(url_for(".show", mailing_id=mailing_id))


@blueprint.post("/<int:mailing_id>/resume")
def resume(mailing_id: int) -> ResponseReturnValue:
    with transaction():
        mailing = mailings.resume(mailings.own(current_user, mailing_id, lock=True))
    enqueue(Job.TICK)
    flash(_("“%(title)s” goes on.", title=mailing.title))
    return redirect(url_for(".show", mailing_id=mailing_id))


def _what_follows(mailing: Mailing) -> str:
    """What was done and, above all, when letters go out because of it."""
    if mailing.next_at is None or mailing.paused_at or mailing.disabled_at:
        return _("The mailing is saved.")
    if mailing.next_at <= clock.now():
        return _("The mailing is saved and begins now.")
    return _("The mailing is saved. It goes out next on %(moment)s.", moment=filters.moment_text(mailing.next_at))


def _wants_to_find(form: MailingForm) -> bool:
    """The button “Find”, or Enter in its box: then something else stands there than was sought last."""
    sent = request.form
    return "find" in sent or ("enter" in sent and sent.get("find_words", "") != sent.get("sought", ""))


def _values(form: MailingForm) -> dict:
    return {
        "title": form.title.data,
        "message_id": form.message_id.data,
        "plan": form.plan(),
        "filter_ids": form.filter_ids.data or [],
    }


def _form_page(form: MailingForm, mailing: Mailing | None) -> ResponseReturnValue:
    words = texts.search_words(form.find_words.data)
    return forms.page(
        "mailings/form.html",
        form,
        mailing=mailing,
        open_attempt=mailing and mailings.open_attempt(mailing),
        total=audiences.size(current_user),
        now_chosen=audiences.count_listed(mailing) if mailing else 0,
        found=audiences.find(current_user, words) if _wants_to_find(form) or form.ticked.data else [],
        most=audiences.MATCHES,
        zones=zones.offered(),
        has_messages=bool(messages.choices(current_user)),
    )
