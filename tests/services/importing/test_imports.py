"""From a file to clients and back: what is counted, what is made, what is left alone."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.jobs import importing
from mailservice.models import Client, Event, Import, ImportRow, ImportStatus, RowState, Suppression, SuppressionReason
from mailservice.services.importing import files, imports, steps
from mailservice.services.importing.imports import Existing
from tests import factories
from tests import importing as make

FILE = """email;ФИО;Комментарий
new@example.org;Новый Клиент;из файла
boris@example.org;Борис Другой;
same@example.org;Boris Ivanov;
gone@example.org;Ушёл;
New@Example.org;Второй раз;
not an address;Кто-то;
;Без адреса;
"""


@pytest.fixture
def owner(app):
    owner = factories.user()
    factories.client(owner, email="boris@example.org", full_name="Boris Ivanov", comment="by hand")
    factories.client(owner, email="same@example.org", full_name="Boris Ivanov")
    suppress(owner, "gone@example.org")
    return owner


def suppress(owner, address, reason=SuppressionReason.UNSUBSCRIBED):
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=address, reason=reason))


def counts(found):
    return {state.value: getattr(found, state) for state in RowState if getattr(found, state)}


EXPECTED = {"new": 1, "changed": 1, "unchanged": 1, "duplicate": 1, "invalid": 2, "suppressed": 1}


def test_a_dry_run_tells_what_would_happen_and_changes_no_client(owner):
    before = make.clients_of(owner)
    found = make.check(make.take_in(owner, FILE), existing=Existing.OVERWRITE)
    assert found.status is ImportStatus.CHECKED
    assert counts(found) == EXPECTED
    assert make.clients_of(owner) == before


def test_each_kind_has_examples_with_the_number_of_the_row_and_the_reason(owner):
    found = make.check(make.take_in(owner, FILE), existing=Existing.OVERWRITE)
    shown = {state: [(e.number, e.reason) for e in imports.examples(found, state)] for state in RowState}
    assert shown[RowState.NEW] == [(2, None)]
    assert shown[RowState.INVALID] == [(7, "bad_address"), (8, "no_address")]
    assert shown[RowState.SUPPRESSED] == [(5, "unsubscribed")]
    (changed,) = imports.examples(found, RowState.CHANGED)
    assert (changed.old_full_name, changed.full_name, changed.old_comment) == (
        "Boris Ivanov",
        "Борис Другой",
        "by hand",
    )


def test_an_import_makes_new_clients_and_overwrites_what_the_file_says(owner):
    found = make.run(owner, FILE, existing=Existing.OVERWRITE)
    assert found.status is ImportStatus.DONE
    assert counts(found) == EXPECTED
    assert make.clients_of(owner) == {
        "new@example.org": ("Новый Клиент", "из файла"),
        "boris@example.org": ("Борис Другой", "by hand"),
        "same@example.org": ("Boris Ivanov", ""),
    }


def test_names_and_comments_that_are_there_are_kept_and_only_gaps_are_filled(owner):
    factories.client(owner, email="empty@example.org", full_name="")
    text = "email,name,comment\nboris@example.org,Another,another\nempty@example.org,Now Known,noted\n"
    found = make.run(owner, text, existing=Existing.KEEP)
    assert counts(found) == {"changed": 1, "unchanged": 1}
    assert make.clients_of(owner)["boris@example.org"] == ("Boris Ivanov", "by hand")
    assert make.clients_of(owner)["empty@example.org"] == ("Now Known", "noted")


def test_nobody_who_left_comes_back(owner):
    suppress(owner, "bounced@example.org", SuppressionReason.HARD_BOUNCE)
    found = make.run(owner, "email\ngone@example.org\nBounced@example.org\nnew@example.org\n")
    assert counts(found) == {"new": 1, "suppressed": 2}
    assert not {"gone@example.org", "Bounced@example.org"} & set(make.clients_of(owner))
    stopped = db.session.scalars(select(Suppression.email_normalised)).all()
    assert set(stopped) == {"gone@example.org", "bounced@example.org"}


def test_who_leaves_between_the_check_and_the_import_is_not_made_a_client(owner):
    found = make.check(make.take_in(owner, FILE))
    suppress(owner, "new@example.org")
    found = make.start(found)
    assert "new@example.org" not in make.clients_of(owner)
    assert (found.new, found.suppressed) == (0, 2)


def test_what_changed_between_the_check_and_the_import_is_seen(owner):
    found = make.check(make.take_in(owner, FILE), existing=Existing.OVERWRITE)
    factories.client(owner, email="new@example.org", full_name="By Hand")
    with transaction():
        db.session.execute(Client.__table__.delete().where(Client.email == "boris@example.org"))
    found = make.start(found)
    assert counts(found) == EXPECTED
    assert make.clients_of(owner)["new@example.org"] == ("Новый Клиент", "из файла")
    assert make.clients_of(owner)["boris@example.org"] == ("Борис Другой", "")
    make.undo(found)
    assert make.clients_of(owner)["new@example.org"] == ("By Hand", "")


def test_another_owners_clients_and_stop_list_are_another_matter(owner):
    other = factories.user()
    factories.client(other, email="new@example.org", full_name="Not Yours")
    suppress(other, "boris@example.org")
    found = make.run(owner, FILE, existing=Existing.OVERWRITE)
    assert counts(found) == EXPECTED
    assert make.clients_of(other) == {"new@example.org": ("Not Yours", "")}


def test_undoing_removes_what_was_made_and_gives_former_names_back(owner):
    before = make.clients_of(owner)
    found = make.undo(make.run(owner, FILE, existing=Existing.OVERWRITE))
    assert (found.status, found.removed, found.restored) == (ImportStatus.UNDONE, 1, 1)
    assert make.clients_of(owner) == before


def test_undoing_leaves_what_somebody_has_touched_or_uses(owner):
    text = "email;name\nuntouched@example.org;A\nedited@example.org;B\nmailed@example.org;C\nboris@example.org;D\n"
    found = make.run(owner, text, existing=Existing.OVERWRITE)
    clients = {c.email: c for c in db.session.scalars(select(Client).where(Client.owner_id == owner.id))}
    factories.mailing(owner, clients=[clients["mailed@example.org"]])
    with transaction():
        db.session.get(Client, clients["edited@example.org"].id).comment = "a friend"
        db.session.get(Client, clients["boris@example.org"].id).full_name = "By Hand"
    found = make.undo(found)
    assert (found.removed, found.restored) == (1, 0)
    assert set(make.clients_of(owner)) == {
        *("edited@example.org", "mailed@example.org", "boris@example.org", "same@example.org")
    }
    assert make.clients_of(owner)["boris@example.org"][0] == "By Hand"


def test_an_import_and_its_undoing_are_events(owner):
    make.undo(make.run(owner, FILE, existing=Existing.OVERWRITE))
    events = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert [(e.action, e.actor_id, e.subject_type) for e in events] == [
        ("imported", owner.id, "import"),
        ("import_undone", owner.id, "import"),
    ]
    assert events[0].detail == {"rows": 7, "new": 1, "changed": 1}


def test_the_rejected_rows_are_told_in_their_order(owner):
    found = make.check(make.take_in(owner, FILE))
    told = [(state.value, row.number, row.email) for state, row in imports.rejected(found.id)]
    assert told == [
        ("suppressed", 5, "gone@example.org"),
        ("duplicate", 6, "New@Example.org"),
        ("invalid", 7, "not an address"),
        ("invalid", 8, ""),
    ]


def test_a_dry_run_can_be_made_again_with_other_columns(owner):
    found = make.check(make.take_in(owner, FILE))
    with transaction():
        imports.reconsider(db.session.get(Import, found.id))
    found = make.check(found, roles=["email", "", ""])
    assert found.status is ImportStatus.CHECKED
    assert imports.examples(found, RowState.NEW)[0].full_name == ""


@pytest.mark.parametrize("roles", [["", "full_name", ""], ["email", "email", ""]])
def test_exactly_one_column_holds_the_addresses(owner, roles):
    with pytest.raises(Invalid) as refused:
        make.check(make.take_in(owner, FILE), roles=roles)
    assert refused.value.field == "columns"


def test_slices_give_what_one_go_gives(owner, monkeypatch):
    monkeypatch.setattr(steps, "SIZE", 2)
    found = make.run(owner, FILE, existing=Existing.OVERWRITE)
    assert counts(found) == EXPECTED
    assert len(make.clients_of(owner)) == 3
    found = make.undo(found)
    assert (found.removed, found.restored) == (1, 1)


def test_a_turn_that_ends_early_is_gone_on_with(owner, monkeypatch):
    monkeypatch.setattr(steps, "SIZE", 2)
    found = make.take_in(owner, FILE)
    with transaction():
        found = db.session.get(Import, found.id)
        imports.check(found, roles=found.columns, has_header=True, existing=Existing.OVERWRITE)
    turns = 1
    while importing.work_on(found.id, must_stop=lambda: True):
        turns += 1
    assert turns > 3
    assert counts(db.session.get(Import, found.id)) == EXPECTED


def test_a_doubled_job_reads_nothing_twice(owner, monkeypatch):
    """Another one comes while the first is between two slices, and does everything."""
    monkeypatch.setattr(steps, "SIZE", 2)
    found = make.take_in(owner, FILE)
    with transaction():
        found = db.session.get(Import, found.id)
        imports.check(found, roles=found.columns, has_header=True, existing=Existing.OVERWRITE)
    others = iter([lambda: importing.work_on(found.id, must_stop=lambda: False)])
    importing.work_on(found.id, must_stop=lambda: bool(next(others, bool)()))
    assert counts(db.session.get(Import, found.id)) == EXPECTED


def test_acts_out_of_turn_are_refused(owner):
    found = make.run(owner, FILE)
    with pytest.raises(Refused), transaction():
        imports.start(db.session.get(Import, found.id))
    with pytest.raises(Refused), transaction():
        imports.delete(db.session.get(Import, found.id))
    make.undo(found)
    with pytest.raises(Refused), transaction():
        imports.undo(db.session.get(Import, found.id))


def test_the_rows_go_with_their_import(owner):
    found, other = make.check(make.take_in(owner, FILE)), make.check(make.take_in(owner, FILE))
    with transaction():
        imports.delete(db.session.get(Import, found.id))
    assert set(db.session.scalars(select(ImportRow.import_id))) == {other.id}


def test_somebody_elses_import_does_not_exist(owner):
    found = make.take_in(owner, FILE)
    with pytest.raises(NotFound):
        imports.own(factories.user(), found.id)


def test_files_and_drafts_are_forgotten_after_some_days_and_the_way_back_later(owner):
    draft_id, done = make.take_in(owner, FILE).id, make.run(owner, FILE)
    folder = importing.imports_path()
    make_older(timedelta(days=8))
    importing.clear_up()
    assert db.session.get(Import, draft_id) is None
    assert db.session.get(Import, done.id).stored == ""
    assert imports.may_undo(db.session.get(Import, done.id))
    assert list(folder.glob("*/*.*")), "a file may belong to an upload that is not through"
    files_are_old(folder)
    importing.clear_up()
    assert list(folder.glob("*/*.*")) == []
    make_older(timedelta(days=30))
    importing.clear_up()
    assert list(imports.rejected(done.id)) == []
    assert not imports.may_undo(db.session.get(Import, done.id))


def make_older(age):
    with transaction() as session:
        for row in session.scalars(select(Import)):
            row.created_at = clock.now() - age


def files_are_old(folder):
    for path in folder.glob("*/*.*"):
        os.utime(path, (0, 0))


def test_a_file_that_is_gone_fails_the_import_in_words(owner):
    found = make.take_in(owner, FILE)
    files.remove(importing.imports_path(), found.stored)
    found = make.check(found)
    assert (found.status, found.failure) == (ImportStatus.FAILED, "The file is gone. Upload it again.")


def test_a_workbook_is_read_like_a_text(owner):
    data = make.workbook(["Имя", "Почта"], ["Анна", "anna@example.org"], [], [42, "b@example.org"])
    found = make.run(owner, data, filename="clients.xlsx")
    assert counts(found) == {"new": 2}
    assert make.clients_of(owner)["anna@example.org"] == ("Анна", "")
    assert make.clients_of(owner)["b@example.org"] == ("42", "")
    assert [e.number for e in imports.examples(found, RowState.NEW)] == [2, 4]


def compressed_anew(data, change):
    """The same workbook, with its texts changed."""
    old, made = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(old.read(part.filename)))
    return made.getvalue()


def test_a_workbook_whose_compressed_octets_are_damaged_is_refused(app):
    data = bytearray(make.workbook(["email", "name"], *[[f"a{n}@example.org", f"{n}"] for n in range(300)]))
    part = zipfile.ZipFile(io.BytesIO(bytes(data))).getinfo("xl/workbook.xml")
    start = part.header_offset + 30 + len(part.filename) + 40
    data[start : start + 20] = b"\xff" * 20
    with pytest.raises(Invalid, match="damaged"):
        make.take_in(factories.user(), bytes(data), filename="a.xlsx")


def test_a_cell_longer_than_any_table_can_hold_is_refused(app):
    data = make.workbook(["email", "name"], ["a@example.org", "xx"])
    data = compressed_anew(data, lambda octets: octets.replace(b">xx<", b">" + b"y" * 200_000 + b"<"))
    with pytest.raises(Invalid, match="damaged"):
        make.take_in(factories.user(), data, filename="a.xlsx")
