"""Lists as CSV files: read to the end before the first octet is sent, and nothing in them is a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Response

from mailservice import clock
from mailservice.web.sheets import safe

if TYPE_CHECKING:
    from mailservice.web.manager.desk import Desk

MOST = 50_000  # rows: some seconds' work
SLICE = 1_000  # rows read at once


@dataclass(frozen=True)
class File:
    name: str
    text: str
    rows: int

    def response(self) -> Response:
        response = Response(self.text.encode("utf-8-sig"), mimetype="text/csv")  # the mark tells Excel that it is UTF-8
        response.headers["Content-Disposition"] = f"attachment; filename={self.name}"
        return response


def written(view: Desk, numbers: list[int]) -> File:
    """These rows, in the columns of the list."""
    text = io.StringIO()
    writer = csv.writer(text)
    columns = view.get_export_columns()
    writer.writerow([safe(title) for _name, title in columns])
    rows = 0
    for start in range(0, len(numbers), SLICE):
        for line in view.rows(numbers[start : start + SLICE]):
            writer.writerow([safe(view.get_export_value(line, name)) for name, _title in columns])
            rows += 1
    return File(f"{view.slug}-{clock.now():%Y-%m-%d}.csv", text.getvalue(), rows)
