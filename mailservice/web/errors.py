"""What a person sees when something cannot be done: one page, with the reason."""

from flask import Flask, render_template
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from mailservice.errors import Invalid, NotFound, Refused


def init_app(app: Flask) -> None:
    app.register_error_handler(NotFound, lambda error: (_page(404, str(error)), 404))
    app.register_error_handler(Refused, lambda error: (_page(409, error.message), 409))
    app.register_error_handler(Invalid, lambda error: (_page(400, error.message), 400))
    app.register_error_handler(HTTPException, _http)


def _http(error: HTTPException):
    code = error.code or 500
    if code < 400:
        return error
    return _page(code, ""), code


def _page(code: int, message: str) -> str:
    return render_template("errors/error.html", code=code, message=message or _("Something went wrong."))
