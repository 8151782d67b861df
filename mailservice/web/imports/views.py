"""Imports of clients: a file, its columns, a dry run, the import itself, its result, and the way back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from config import Settings
from mailservice.database import transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import Import, ImportStatus, RowState
from mailservice.queues import Job, enqueue
from mailservice.services.importing import files, imports
from mailservice.services.importing.imports import ENCODINGS, Existing
from mailservice.web import limits, paging
from mailservice.web.forms import errors_beside, page
from mailservice.web.imports import sheets, words
from mailservice.web.imports.forms import UploadForm, for_import

# Its name begins with that of the section that it belongs to.
blueprint = Blueprint("clients_imports", __name__, url_prefix="/clients/imports")
UPLOADS = "60 per hour"
MEGABYTE = 1 << 20
REST_OF_FORM = 1 << 16  # octets of an upload that are not its file


@blueprint.url_value_preprocessor
def _allow_big_files(endpoint: str | None, _values: object) -> None:
    """Before anything reads the form. Text that is pasted has the limit of all forms."""
    if endpoint == "clients_imports.new":
        request.max_content_length = _settings().import_megabytes * MEGABYTE + REST_OF_FORM


@blueprint.errorhandler(RequestEntityTooLarge)
def _too_big(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    form = UploadForm(formdata=None)
    most = _settings().import_megabytes
    message = _("This is too big: a file may have %(size)s MB, and pasted text 4 MB.", size=most)
    form.file.errors = [message]
    return render_template("imports/new.html", form=form, most=most), 413


@blueprint.context_processor
def _words() -> dict[str, object]:
    return {"words": words, "RowState": RowState, "ImportStatus": ImportStatus}


@blueprint.get("")
def index() -> ResponseReturnValue:
    return render_template("imports/index.html", page=imports.of(current_user, **paging.asked()))


@blueprint.route("/new", methods=["GET", "POST"])
@limits.each_user(UPLOADS)
def new() -> ResponseReturnValue:
    form = UploadForm()
    if form.validate_on_submit():
        source, filename, field = _source(form)
        with errors_beside(form), _beside(field):
            largest = _settings().import_megabytes * MEGABYTE
            upload = imports.take_in(current_user, source, filename=filename, folder=_folder(), largest=largest)
            with transaction():
                made = imports.create(current_user, upload, filename=filename)
        if not form.errors:
            return redirect(url_for(".show", import_id=made.id))
    return page("imports/new.html", form, most=_settings().import_megabytes)


@blueprint.get("/<int:import_id>")
def show(import_id: int) -> ResponseReturnValue:
    found = imports.own(current_user, import_id)
    if found.status is ImportStatus.DRAFT:
        return page("imports/columns.html", for_import(found), found=found, records=_first_records(found))
    return render_template(
        "imports/show.html",
        found=found,
        examples={state: imports.examples(found, state) for state in RowState if getattr(found, state.value)},
        may_undo=imports.may_undo(found),
        undo_until=imports.undo_until(found),
    )


@blueprint.get("/<int:import_id>/progress")
def progress(import_id: int) -> ResponseReturnValue:
    """The part of the page that moves."""
    return render_template("imports/progress.html", found=imports.own(current_user, import_id))


@blueprint.post("/<int:import_id>/read")
def read(import_id: int) -> ResponseReturnValue:
    """The file once more, in another encoding or with another delimiter."""
    found = imports.own(current_user, import_id)
    form = for_import(found)
    if found.status is ImportStatus.DRAFT and "encoding" in form and form.encoding.data in ENCODINGS:
        delimiter = "\t" if form.delimiter.data == "tab" else form.delimiter.data
        with errors_beside(form), _beside("encoding"):
            upload = imports.read_anew(found, encoding=form.encoding.data, delimiter=delimiter, folder=_folder())
            with transaction():
                imports.read_as(imports.own(current_user, import_id, lock=True), upload)
        if form.errors:
            return page("imports/columns.html", form, found=found, records=_first_records(found))
    return redirect(url_for(".show", import_id=import_id))


@blueprint.post("/<int:import_id>/check")
def check(import_id: int) -> ResponseReturnValue:
    found = imports.own(current_user, import_id)
    form = for_import(found)
    if found.status is ImportStatus.DRAFT and form.validate():
        with errors_beside(form), transaction():
            imports.check(
                imports.own(current_user, import_id, lock=True),
                roles=form.roles,
                has_header=form.has_header.data,
                existing=Existing(form.existing.data),
            )
        if not form.errors:
            enqueue(Job.IMPORT, import_id)
            return redirect(url_for(".show", import_id=import_id))
    if found.status is ImportStatus.DRAFT:
        return page("imports/columns.html", form, found=found, records=_first_records(found))
    return redirect(url_for(".show", import_id=import_id))


@blueprint.post("/<int:import_id>/back")
def back(import_id: int) -> ResponseReturnValue:
    """From the dry run to the columns."""
    return _act(import_id, imports.reconsider)


@blueprint.post("/<int:import_id>/start")
def start(import_id: int) -> ResponseReturnValue:
    return _act(import_id, imports.start, rings=True)


@blueprint.post("/<int:import_id>/undo")
def undo(import_id: int) -> ResponseReturnValue:
    return _act(import_id, imports.undo, rings=True)


@blueprint.post("/<int:import_id>/delete")
def delete(import_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            stored = imports.delete(imports.own(current_user, import_id, lock=True))
    except Refused as error:
        flash(error.message, "error")
        return redirect(url_for(".show", import_id=import_id))
    files.remove(_folder(), stored)
    flash(_("The import is deleted."))
    return redirect(url_for(".index"))


@blueprint.get("/<int:import_id>/rejected.csv")
def rejected(import_id: int) -> Response:
    return sheets.response(imports.own(current_user, import_id))


def _act(import_id: int, act: Callable[[Import], Import], *, rings: bool = False) -> ResponseReturnValue:
    """Moves an import on; what is refused is said on its page."""
    try:
        with transaction():
            act(imports.own(current_user, import_id, lock=True))
    except Refused as error:
        flash(error.message, "error")
    else:
        if rings:
            enqueue(Job.IMPORT, import_id)
    return redirect(url_for(".show", import_id=import_id))


def _source(form: UploadForm) -> tuple[IO[bytes], str, str]:
    """What was sent: octets, the file's name, and the field that they came from."""
    sent = form.file.data
    if sent and sent.filename:
        return sent.stream, sent.filename, "file"
    text = (form.text.data or "").encode("utf-8", "replace")
    return io.BytesIO(text), "", "text" if text.strip() else "file"


@contextmanager
def _beside(field: str) -> Iterator[None]:
    """An Invalid inside belongs beside this field of the form."""
    try:
        yield
    except Invalid as error:
        raise Invalid(error.message, field=field) from None


def _first_records(found: Import) -> list[list[str]]:
    return imports.first_records(found, _folder())


def _folder() -> Path:
    return _settings().imports_path


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
