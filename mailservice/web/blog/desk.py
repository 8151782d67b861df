"""The editors' desk: list of posts, form with a preview, publishing, hiding, deleting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.datastructures import FileStorage

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Post
from mailservice.services import blog, images, posts, prose, texts
from mailservice.services.images import Picture
from mailservice.web import forms, paging
from mailservice.web.blog.forms import PostForm

blueprint = Blueprint("posts", __name__, url_prefix="/posts")


@blueprint.before_request
def _for_editors() -> None:
    posts.check_editor(current_user)


@blueprint.get("")
def index() -> ResponseReturnValue:
    words = texts.search_words(request.args.get("q"))
    page = posts.search(words=words, **paging.asked())
    return render_template("blog/posts.html", page=page, words=words, now=clock.now())


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = PostForm()
    form.start(current_user, None)
    if form.is_submitted() and "preview" in request.form:
        return _form_page(form, None, preview=prose.to_html(form.body.data or ""))
    if form.validate_on_submit():
        with forms.errors_beside(form):
            picture = _picture(form)
            with _unless_it_fails(picture), transaction():
                post = posts.create(current_user, **_values(form, None))
                posts.set_image(post, picture)
        if not form.errors:
            flash(_("The post is saved."))
            return redirect(url_for(".show", post_id=post.id))
    return _form_page(form, None)


@blueprint.get("/<int:post_id>")
def show(post_id: int) -> ResponseReturnValue:
    """As readers see it, or will see it."""
    post = posts.by_id(post_id)
    html = prose.to_html(post.body)
    return render_template("blog/draft.html", draft=post, post=blog.card(post), html=html, now=clock.now())


@blueprint.route("/<int:post_id>/edit", methods=["GET", "POST"])
def edit(post_id: int) -> ResponseReturnValue:
    post = posts.by_id(post_id)
    form = PostForm(obj=post)
    form.start(current_user, post)
    if form.is_submitted() and "preview" in request.form:
        return _form_page(form, post, preview=prose.to_html(form.body.data or ""))
    if form.validate_on_submit():
        with forms.errors_beside(form):
            _update(form, post_id)
        if not form.errors:
            flash(_("The post is saved."))
            return redirect(url_for(".show", post_id=post_id))
    return _form_page(form, post)


@blueprint.post("/<int:post_id>/publish")
def publish(post_id: int) -> ResponseReturnValue:
    with transaction():
        posts.publish(posts.by_id(post_id, lock=True))
    flash(_("The post is published."))
    return redirect(url_for(".show", post_id=post_id))


@blueprint.post("/<int:post_id>/hide")
def hide(post_id: int) -> ResponseReturnValue:
    with transaction():
        posts.hide(posts.by_id(post_id, lock=True))
    flash(_("The post is hidden: it is a draft again."))
    return redirect(url_for(".show", post_id=post_id))


@blueprint.post("/<int:post_id>/delete")
def delete(post_id: int) -> ResponseReturnValue:
    with transaction():
        image = posts.delete(posts.by_id(post_id, lock=True))
    images.remove(image, folder=_folder())
    flash(_("The post is deleted."))
    return redirect(url_for(".index"))


def _update(form: PostForm, post_id: int) -> None:
    picture = _picture(form)
    before = None
    with _unless_it_fails(picture), transaction():
        post = posts.by_id(post_id, lock=True)
        form.check_unchanged(post)
        posts.update(post, **_values(form, post))
        if picture or form.remove_image.data:
            before = posts.set_image(post, picture)
    images.remove(before, folder=_folder())


def _values(form: PostForm, post: Post | None) -> dict[str, Any]:
    return {
        "title": form.title.data,
        "slug": form.slug.data or "",
        "language": form.language.data,
        "body": form.body.data,
        "image_alt": form.image_alt.data or "",
        "published_at": form.published_at(current_user, post),
    }


def _picture(form: PostForm) -> Picture | None:
    """What was sent along, drawn anew; outside the transaction, since it takes its time."""
    sent = form.image.data
    if not isinstance(sent, FileStorage) or not sent.filename:
        return None
    return images.store(sent.read(), filename=sent.filename, folder=_folder())


@contextmanager
def _unless_it_fails(picture: Picture | None) -> Iterator[None]:
    """Files that no post has taken go again."""
    try:
        yield
    except BaseException:
        images.remove(picture.name if picture else None, folder=_folder())
        raise


def _folder() -> Path:
    folder: Path = current_app.config["SETTINGS"].images_path
    return folder


def _form_page(form: PostForm, post: Post | None, preview: str | None = None) -> ResponseReturnValue:
    return forms.page("blog/form.html", form, post=post, preview=preview)
