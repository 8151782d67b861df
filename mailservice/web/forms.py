"""The base of all forms, and how what a service refuses gets beside its field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import render_template
from flask_wtf import FlaskForm
from wtforms import Field, SelectChoice
from wtforms.validators import StopValidation

from mailservice.errors import Invalid, Refused


class Form(FlaskForm):
    """Its CSRF token is checked by the global CSRFProtect; texts come from the person's language."""


def options(pairs: Iterable[tuple[Any, Any]]) -> list[SelectChoice]:
    """What a select or a group of radio buttons offers, from (value, words)."""
    return [SelectChoice(value, words) for value, words in pairs]


LANGUAGES = options([("ru", "Русский"), ("en", "English")])  # each in its own words


def checked(check: Callable[..., Any], **values: Any) -> Callable[[FlaskForm, Field], None]:
    """A service's own check as a validator, so that all fields are checked at once.

    `checked(texts.one_line, field="title", longest=200)`; the service asks again when it writes.
    """

    def validate(form: FlaskForm, field: Field) -> None:
        try:
            check(field.data or "", **values)
        except Invalid as error:
            raise StopValidation(error.message) from None

    return validate


def changed_since(field: Field, now: str) -> bool:
    """Whether what is edited is not what it was when the form was made: its hidden `field` says what that was.

    The form that comes back says what it is now: sent once more, it is saved.
    """
    before, field.data = field.data, now
    return bool(before) and before != now


@contextmanager
def errors_beside(form: FlaskForm) -> Iterator[None]:
    """Puts an Invalid or Refused beside the field that it names, else above the form; then go on.

    `with errors_beside(form), transaction(): …` and after it: `if not form.errors:` it is done.
    """
    try:
        yield
    except (Invalid, Refused) as error:
        field = form._fields.get(error.field) if error.field else None
        if field is None:
            form.form_errors.append(error.message)
        else:
            field.errors = [*field.errors, error.message]


def page(template: str, form: FlaskForm, **context: Any) -> tuple[str, int]:
    """The page with its form; status 422 when the form was sent and has errors."""
    return render_template(template, form=form, **context), 422 if form.errors else 200
