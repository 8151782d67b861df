"""Words of imports: how one stands, why a row was left out, what changes."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from mailservice.models import Import, ImportStatus, RowState, SuppressionReason
from mailservice.services.importing import rows
from mailservice.services.importing.imports import Example

STATUSES: dict[ImportStatus, Any] = {
    ImportStatus.DRAFT: _l("columns to be chosen"),
    ImportStatus.CHECKING: _l("being checked"),
    ImportStatus.CHECKED: _l("checked, not started"),
    ImportStatus.RUNNING: _l("under way"),
    ImportStatus.DONE: lazy_pgettext("import", "done"),
    ImportStatus.UNDOING: _l("being undone"),
    ImportStatus.UNDONE: _l("undone"),
    ImportStatus.FAILED: lazy_pgettext("import", "failed"),
}
STATUS_COLOURS = {
    ImportStatus.DRAFT: "waiting",
    ImportStatus.CHECKING: "sending",
    ImportStatus.CHECKED: "waiting",
    ImportStatus.RUNNING: "sending",
    ImportStatus.DONE: "sent",
    ImportStatus.UNDOING: "sending",
    ImportStatus.UNDONE: "skipped",
    ImportStatus.FAILED: "failed",
}
COLOURS = {
    RowState.NEW: "sent",
    RowState.CHANGED: "accent",
    RowState.UNCHANGED: "skipped",
    RowState.DUPLICATE: "waiting",
    RowState.INVALID: "failed",
    RowState.SUPPRESSED: "unknown",
}
STATES: dict[RowState, Any] = {
    RowState.NEW: lazy_pgettext("rows", "new"),
    RowState.CHANGED: lazy_pgettext("rows", "changed"),
    RowState.UNCHANGED: lazy_pgettext("rows", "unchanged"),
    RowState.DUPLICATE: lazy_pgettext("rows", "repeated"),
    RowState.INVALID: lazy_pgettext("rows", "with mistakes"),
    RowState.SUPPRESSED: lazy_pgettext("rows", "on the stop list"),
}
TITLES: dict[RowState, Any] = {
    RowState.NEW: _l("New clients"),
    RowState.CHANGED: _l("Clients that change"),
    RowState.UNCHANGED: _l("Clients that stay as they are"),
    RowState.DUPLICATE: _l("Repeated in the file: the first row counts"),
    RowState.INVALID: _l("Rows with mistakes: left out"),
    RowState.SUPPRESSED: _l("On the stop list: left out"),
}
REASONS: dict[str, Any] = {
    rows.NO_ADDRESS: _l("there is no address"),
    rows.BAD_ADDRESS: _l("this is no e-mail address"),
    rows.BAD_NAME: _l("the name holds characters that are not possible"),
    rows.LONG_NAME: _l("the name is too long"),
    rows.BAD_COMMENT: _l("the comment holds characters that are not possible"),
    rows.LONG_COMMENT: _l("the comment is too long"),
    SuppressionReason.UNSUBSCRIBED: _l("unsubscribed"),
    SuppressionReason.HARD_BOUNCE: _l("there is no such address"),
    SuppressionReason.COMPLAINT: _l("complained"),
    SuppressionReason.BY_HAND: _l("added to the stop list by hand"),
    SuppressionReason.IMPORTED: _l("added to the stop list by an import"),
}


def title(found: Import) -> str:
    """The file's name, or that there was none."""
    return found.name or str(_l("Pasted text"))


def reason(state: RowState, row: Example) -> str:
    """Why a row was left out."""
    if state is RowState.DUPLICATE:
        return str(_l("this address stands in the file before"))
    word = str(REASONS.get(row.reason or "", ""))
    return f"{STATES[state]}: {word}" if state is RowState.SUPPRESSED else word


def share(found: Import) -> int | None:
    """How far it is, in per cent; None where that is not known."""
    match found.status:
        case ImportStatus.CHECKING if found.size:
            return _percent(found.position, found.size)
        case ImportStatus.RUNNING:
            return _percent(found.applied, found.number)
        case ImportStatus.UNDOING:
            return _percent(found.undone, found.number)
    return None


def _percent(part: int, whole: int) -> int:
    return min(100, part * 100 // whole) if whole else 0
