"""The rows that an import left out, as a CSV file that Excel opens and that can be imported again."""

from __future__ import annotations

import csv
import io
import tempfile

from flask import Response, send_file
from flask_babel import gettext as _

from mailservice.models import Import
from mailservice.services.importing import imports
from mailservice.web.imports import words
from mailservice.web.sheets import safe

IN_MEMORY = 1 << 20  # octets; more wait in a file


def response(found: Import) -> Response:
    """Written to its end before the first octet is sent, so that a file is whole or none."""
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the response closes it)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")  # the mark tells Excel that it is UTF-8
    writer = csv.writer(text, delimiter=";")
    writer.writerow([_("Row"), _("Reason"), _("E-mail"), _("Full name"), _("Comment")])
    for state, row in imports.rejected(found.id):
        cells = (words.reason(state, row), row.email, row.full_name, row.comment)
        writer.writerow([row.number, *map(safe, cells)])
    text.detach()
    file.seek(0)
    name = f"import-{found.id}-rejected.csv"
    return send_file(file, mimetype="text/csv", as_attachment=True, download_name=name)
