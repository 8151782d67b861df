"""The blog as everybody sees it: list, post, pictures."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, redirect, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response

from mailservice import visits
from mailservice.errors import NotFound
from mailservice.services import access, blog, images
from mailservice.services.pages import Page
from mailservice.web import paging
from mailservice.web.blog import kept
from mailservice.web.security import public

blueprint = Blueprint("blog", __name__)
A_YEAR = 365 * 24 * 3600


@blueprint.app_template_global()
def public_url(endpoint: str, **values: object) -> str:
    """The address under which the world knows the page: PUBLIC_URL's, whatever a request calls this host."""
    return str(current_app.config["SETTINGS"].public_url) + url_for(endpoint, **values)  # type: ignore[arg-type]


@blueprint.app_template_global()
def image_file(image: dict, width: int, ending: str) -> str:
    return images.file_name(image["name"], width, ending)


@blueprint.get("/blog")
@public
def index() -> ResponseReturnValue:
    total = kept.count()
    last = max(1, -(-total // blog.PAGE))
    number = min(paging.asked()["number"], last)
    page = Page(kept.page(number), number, blog.PAGE, total)
    return render_template("blog/index.html", page=page, may_edit=_may_edit())


@blueprint.get("/blog/<slug>")
@public
def show(slug: str) -> ResponseReturnValue:
    try:
        article = kept.article(slug)
    except NotFound:
        if kept.SLUG.fullmatch(slug) and (moved := blog.moved_to(slug)):
            return redirect(url_for(".show", slug=moved), 301)
        raise
    card = article["card"]
    if _is_read(card):
        visits.count(card["id"], address=request.remote_addr or "", agent=request.user_agent.string)
    return render_template("blog/show.html", **article, post=card, may_edit=_may_edit())


@blueprint.get("/blog/images/<filename>")
def image(filename: str) -> Response:
    """Public (security.PUBLIC_ENDPOINTS). A picture never changes under its name."""
    if not images.is_file_name(filename):
        abort(404)
    kind = images.KINDS[filename.rpartition(".")[2]]
    folder = current_app.config["SETTINGS"].images_path
    response = send_from_directory(folder, filename, mimetype=kind, max_age=A_YEAR)
    response.cache_control.public = True
    response.cache_control.immutable = True
    return response


def _is_read(card: blog.Card) -> bool:
    """By a person who did not write it, and not by a browser that only looks ahead."""
    ahead = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or request.headers.get("X-Moz")
    if request.method != "GET" or ahead or not visits.is_person(request.user_agent.string):
        return False
    return not (current_user.is_authenticated and current_user.id == card["author_id"])


def _may_edit() -> bool:
    return bool(current_user.is_authenticated and access.may_write_posts(current_user))
