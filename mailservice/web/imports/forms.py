"""The forms of an import: the file, and what its columns are."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import BooleanField, RadioField, SelectField, TextAreaField

from mailservice.models import FileKind, Import
from mailservice.services.importing.columns import Role
from mailservice.services.importing.imports import ENCODINGS, Existing
from mailservice.web.forms import Form, options

ROLES = {
    Role.NONE: _l("leave out"),
    Role.EMAIL: _l("E-mail"),
    Role.FULL_NAME: _l("Full name"),
    Role.FIRST_NAME: _l("First name"),
    Role.LAST_NAME: _l("Last name"),
    Role.COMMENT: _l("Comment"),
}
ENCODING_WORDS = {
    "utf-8": _l("UTF-8"),
    "cp1251": _l("Windows, Cyrillic (1251)"),
    "cp1252": _l("Windows, Western (1252)"),
    "utf-16": _l("UTF-16"),
}
EXISTING = {
    Existing.KEEP: _l("stay as they are; only gaps are filled from the file"),
    Existing.OVERWRITE: _l("are replaced by those of the file, where it has any"),
}
DELIMITERS = {";": _l("semicolon ;"), ",": _l("comma ,"), "tab": _l("tab")}


class UploadForm(Form):
    file = FileField(_l("File"))
    text = TextAreaField(_l("Paste the table here"))


class ColumnsForm(Form):
    """With a select for each column, `column_0` and so on, which `for_import` adds."""

    encoding = SelectField(_l("Encoding"))
    delimiter = SelectField(_l("Cells are divided by"), choices=options(DELIMITERS.items()))
    has_header = BooleanField(_l("The first row holds the titles of the columns"))
    existing = RadioField(
        _l("Names and comments of clients that you have already"),
        choices=options(EXISTING.items()),
        default=Existing.KEEP.value,
    )

    @property
    def columns(self) -> list[Any]:
        return [field for field in self if field.name.startswith("column_")]

    @property
    def roles(self) -> list[str]:
        return [field.data or "" for field in self.columns]


def for_import(found: Import) -> ColumnsForm:
    """The form for this file, with what is known or guessed of it."""
    selects = {
        f"column_{n}": SelectField(_("Column %(number)s", number=n + 1), choices=options(ROLES.items()))
        for n in range(len(found.columns))
    }
    kind: type[ColumnsForm] = type("ColumnsFormOfImport", (ColumnsForm,), selects)
    given = {f"column_{n}": role for n, role in enumerate(found.columns)}
    existing = Existing.OVERWRITE if found.overwrites else Existing.KEEP
    form = kind(
        data={
            "encoding": encoding_name(found.encoding),
            "delimiter": "tab" if found.delimiter == "\t" else found.delimiter,
            "has_header": found.has_header,
            "existing": existing.value,
            **given,
        }
    )
    form.encoding.choices = options((name, ENCODING_WORDS[name]) for name in ENCODINGS)
    if found.kind is FileKind.WORKBOOK:
        del form.encoding, form.delimiter
    return form


def encoding_name(encoding: str) -> str:
    """As the form offers it: how the mark or the order of octets was written is nobody's matter."""
    return next((name for name in reversed(ENCODINGS) if encoding.startswith(name)), encoding)
