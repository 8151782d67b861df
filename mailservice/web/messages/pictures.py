"""Pictures for messages: a user's own list, uploading, deleting, and the files, which anybody may fetch."""

from __future__ import annotations

from pathlib import Path

from flask import abort, current_app, flash, redirect, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Image
from mailservice.services import images, pictures
from mailservice.web import forms, limits, paging
from mailservice.web.messages.forms import PictureForm
from mailservice.web.messages.views import blueprint

A_YEAR = 365 * 24 * 3600


@blueprint.app_template_global()
def picture_url(image: Image) -> str:
    """The address under which the world fetches it, whatever this request calls the host."""
    return str(current_app.config["SETTINGS"].public_url) + url_for("messages.image", filename=image.filename)


@blueprint.route("/images", methods=["GET", "POST"], endpoint="images")
@limits.each_user("200 per hour")
def all_images() -> ResponseReturnValue:
    """With `part` in the address it answers for a script: with the new picture's line alone, or with what is wrong."""
    form = PictureForm()
    image = _upload(form) if form.validate_on_submit() else None
    if "part" in request.args:
        return render_template("messages/picture.html", form=form, image=image), 200 if image else 422
    if image:
        flash(_("The picture is uploaded."))
        return redirect(url_for(".images"))
    page = pictures.search(current_user, **paging.asked())
    return forms.page("messages/images.html", form, page=page)


@blueprint.get("/images/<filename>")
def image(filename: str) -> Response:
    """Public (security.PUBLIC_ENDPOINTS): letters show it. A picture never changes under its name."""
    if not images.is_file_name(filename):
        abort(404)
    kind = images.KINDS[filename.rpartition(".")[2]]
    response = send_from_directory(folder(), filename, mimetype=kind, max_age=A_YEAR)
    response.cache_control.public = True
    response.cache_control.immutable = True
    return response


@blueprint.post("/images/<int:image_id>/delete")
def delete_image(image_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            filename = pictures.delete(pictures.own(current_user, image_id))
    except Refused as error:
        flash(error.message, "error")
    else:
        pictures.remove([filename], folder=folder())
        flash(_("The picture is deleted."))
    return redirect(url_for(".images"))


def folder() -> Path:
    return pictures.folder(current_app.config["SETTINGS"].images_path)


def _upload(form: PictureForm) -> Image | None:
    """Drawn anew outside the transaction, since it takes its time; None when the form has errors then."""
    sent, image = form.image.data, None
    assert isinstance(sent, FileStorage)
    with forms.errors_beside(form):
        pictures.check_room(current_user)
        title = sent.filename or ""
        filename, drawn = images.store_for_letters(sent.read(), filename=title, folder=folder())
        size = (folder() / filename).stat().st_size
        try:
            with transaction():
                image = pictures.add(current_user, filename=filename, title=title, picture=drawn, size=size)
        except BaseException:
            pictures.remove([filename], folder=folder())
            raise
    return image
