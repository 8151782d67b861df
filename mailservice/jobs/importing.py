"""Imports at work: slice after slice, by whoever comes first. Redis away, `flask send-mailings` does the same."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _

from config import Settings
from mailservice import clock
from mailservice.database import db, giving_way, transaction
from mailservice.errors import Invalid
from mailservice.jobs import stopping
from mailservice.models import FileKind, ImportStatus
from mailservice.queues import Job, enqueue
from mailservice.services.importing import files, steps
from mailservice.services.importing.rows import RowMaker
from mailservice.services.importing.steps import Plan

log = logging.getLogger(__name__)
TURN = 10.0  # seconds; then others that wait for this worker have theirs
TOUCH_EVERY = 3.0  # seconds
ORPHANED_AFTER = 3600.0  # seconds in which a file belongs to an upload that is not through

MustStop = Callable[[], bool]


def take_turn(import_id: int) -> None:
    """A worker's turn; it rings for the next one."""
    begun = clock.steady()

    def must_stop() -> bool:
        stopping.beat()
        return stopping.is_asked() or clock.steady() - begun > TURN

    if work_on(import_id, must_stop=must_stop):
        ring_for(import_id)


def ring_for(import_id: int) -> None:
    enqueue(Job.IMPORT, import_id)


def ring() -> None:
    """For what stands still: its ring was lost, or its worker died."""
    if steps.is_anything_still(clock.now()):
        with transaction():
            found = steps.standing_still(clock.now())
        for import_id in found:
            ring_for(import_id)


def work_off(must_stop: MustStop) -> None:
    """Everything that is not through, without Redis."""
    found = steps.at_work()
    db.session.rollback()
    for import_id in found:
        try:
            work_on(import_id, must_stop=must_stop)
        except Exception:  # one broken file must not hold up all others, nor the mail
            log.exception("The import %d failed; the next run tries again", import_id)
            db.session.rollback()


def work_on(import_id: int, *, must_stop: MustStop) -> bool:
    """Goes on with an import until it is through or has to stop; whether more is left."""
    plan = steps.plan(import_id)
    db.session.rollback()
    if plan is None:
        return False
    if plan.status is ImportStatus.CHECKING:
        return _check(plan, must_stop)
    step = steps.carry_out if plan.status is ImportStatus.RUNNING else steps.take_back
    while True:
        with giving_way(), transaction():
            more = step(import_id)
        if not more or must_stop():
            return more


def _check(plan: Plan, must_stop: MustStop) -> bool:
    with force_locale(plan.language):
        try:
            path = _ready(plan)
            return _read_on(plan, path, must_stop)
        except Invalid as error:
            message = error.message
        except FileNotFoundError:
            message = _("The file is gone. Upload it again.")
    log.warning("The import %d failed: %s", plan.import_id, message)
    with transaction():
        steps.fail(plan.import_id, message)
    return False


def _ready(plan: Plan) -> Path:
    folder = imports_path()
    if plan.kind is FileKind.WORKBOOK and not plan.position:
        size = files.make_ready(folder, plan.stored, beat=_Toucher(plan.import_id).touch)
        with transaction():
            steps.note_size(plan.import_id, size)
    return files.ready_path(folder, plan.stored)


def _read_on(plan: Plan, path: Path, must_stop: MustStop) -> bool:
    maker, number = RowMaker(plan.roles), plan.number
    records = files.read(path, delimiter=plan.delimiter, position=plan.position)
    while part := list(itertools.islice(records, steps.SIZE)):
        first = number + 1
        numbered = [(n, cells) for n, (_after, cells) in enumerate(part, first) if any(cells)]
        if plan.has_header and numbered and not plan.number and first == 1:
            del numbered[0]
        rows = [maker.row(n, cells) for n, cells in numbered]
        after, number, position = number, number + len(part), part[-1][0]
        with giving_way(), transaction():
            if not steps.take(plan.import_id, rows, after=after, upto=number, position=position):
                return False  # somebody else is at it
        if must_stop():
            return True
    with transaction():
        steps.finish_check(plan.import_id, number=number)
    return False


class _Toucher:
    """Says now and then that somebody is at work on an import."""

    def __init__(self, import_id: int):
        self._import_id = import_id
        self._touched_at = clock.steady()

    def touch(self) -> None:
        stopping.beat()
        if clock.steady() - self._touched_at > TOUCH_EVERY:
            self._touched_at = clock.steady()
            with transaction():
                steps.touch(self._import_id)


def clear_up() -> None:
    """Deletes what is past its time, and files that no import knows."""
    with transaction():
        steps.expire(clock.now())
    folder = imports_path()
    known = steps.known_files()
    db.session.rollback()
    for stored in files.older_than(folder, ORPHANED_AFTER) - known:
        files.remove(folder, stored)


def imports_path() -> Path:
    settings: Settings = current_app.config["SETTINGS"]
    return settings.imports_path
