import csv
import io

import openpyxl
import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.models import AttemptStatus, Delivery, Event, Reason, Suppression, SuppressionReason
from mailservice.services import exports, filters
from mailservice.services.audit import Action
from tests import factories
from tests.services.test_reports import SPREAD, attempt


def rows_of(answer):
    assert answer.status_code == 200
    if answer.mimetype == "text/csv":
        return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.data))
    return [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]


def export(browser, path):
    return rows_of(factories.post(browser, f"/export/{path}", buffered=True))


def suppress(owner, email, reason, detail=""):
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=email, reason=reason, detail=detail))


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_clients_come_in_slices_whole_and_each_owner_gets_his_own(signed_in, owner, monkeypatch, form):
    monkeypatch.setattr(exports, "SLICE", 2)
    for n in range(5):
        factories.client(owner, email=f"c{n}@example.org", full_name=f"=Name {n}", comment="Привет")
    factories.client(factories.user(), email="theirs@example.org")
    head, *rows = export(signed_in, f"clients.{form}")
    assert head == ["E-mail", "Name", "Comment", "Tags", "Added (UTC)"]
    assert [row[:3] for row in rows] == [[f"c{n}@example.org", f"'=Name {n}", "Привет"] for n in range(5)]
    assert len(rows[0][4]) == len("2026-11-22 08:00:00")


def test_clients_are_narrowed_as_their_list_is(signed_in, owner):
    clients = [factories.client(owner, email=f"c{n}@example.org") for n in range(3)]
    assert [row[0] for row in export(signed_in, "clients.csv?q=C1")[1:]] == ["c1@example.org"]
    factories.tag(owner, "VIP", *clients[1:])
    found = export(signed_in, "clients.csv?any=vip&domain=example.org")[1:]
    assert [(row[0], row[3]) for row in found] == [("c1@example.org", "VIP"), ("c2@example.org", "VIP")]
    assert factories.post(signed_in, "/export/clients.csv?any=nothing-like-it").status_code == 400


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_stop_list_comes_with_its_reasons(signed_in, owner, form):
    suppress(owner, "a@example.org", SuppressionReason.UNSUBSCRIBED, detail="by_hand")
    suppress(owner, "b@example.org", SuppressionReason.HARD_BOUNCE, detail="550 5.1.1 unknown")
    suppress(factories.user(), "theirs@example.org", SuppressionReason.BY_HAND)
    rows = export(signed_in, f"suppressions.{form}")[1:]
    assert [row[:3] for row in rows] == [
        ["a@example.org", "unsubscribed", ""],
        ["b@example.org", "there is no such address", "550 5.1.1 unknown"],
    ]
    only = export(signed_in, f"suppressions.{form}?reason=hard_bounce")[1:]
    assert [row[0] for row in only] == ["b@example.org"]
    assert export(signed_in, f"suppressions.{form}?q=nobody")[1:] == []


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_deliveries_of_an_attempt_come_with_what_became_of_them(signed_in, owner, monkeypatch, form):
    monkeypatch.setattr(exports, "SLICE", 4)
    row = attempt(owner)
    rows = export(signed_in, f"attempts/{row.id}/deliveries.{form}")[1:]
    assert len(rows) == sum(SPREAD.values())
    by_state = {r[2]: r for r in rows}
    assert by_state["failed"][3:7] == ["", "550", "5.1.1", "550 5.1.1 user unknown"]
    assert by_state["skipped"][3] == "the address is on the stop list"
    assert by_state["waiting for another try"][4] == "451"
    assert by_state["waiting"][3:9] == ["", "", "", "", "", "0"]


def test_deliveries_are_narrowed_as_their_list_is(signed_in, owner):
    row = attempt(owner, SPREAD | {"waiting": 0}, status=AttemptStatus.DONE, succeeded=False)
    for query, number in (("state=failed", 4), ("state=failed&why=no_address", 4), ("state=failed&why=unwanted", 0)):
        assert len(export(signed_in, f"attempts/{row.id}/deliveries.csv?{query}")[1:]) == number
    assert len(export(signed_in, f"attempts/{row.id}/deliveries.csv?q=000.sent")[1:]) == 1


def test_each_export_is_noted_before_the_first_row_is_read(signed_in, owner):
    row = attempt(owner, {"sent": 1})
    factories.post(signed_in, "/export/clients.xlsx?q=secret@example.org", buffered=True)
    factories.post(signed_in, f"/export/attempts/{row.id}/deliveries.csv", buffered=True)
    events = db.session.scalars(select(Event).where(Event.action == Action.EXPORTED).order_by(Event.id)).all()
    assert [(e.actor_id, e.detail) for e in events] == [
        (owner.id, {"list": "clients", "format": "xlsx"}),
        (owner.id, {"list": "deliveries", "format": "csv"}),
    ]
    assert (events[1].subject_type, events[1].subject_id) == ("attempt", row.id)


def test_a_file_has_a_name_and_a_kind(signed_in):
    answer = factories.post(signed_in, "/export/suppressions.xlsx", buffered=True)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=suppressions-20")
    assert answer.headers["Content-Disposition"].endswith(".xlsx")
    assert "no-store" in answer.headers["Cache-Control"]


def test_nobody_gets_somebody_elses_deliveries(signed_in):
    theirs = attempt(factories.user())
    for attempt_id in (theirs.id, 0, 10**30):
        assert factories.post(signed_in, f"/export/attempts/{attempt_id}/deliveries.csv").status_code == 404
    assert db.session.scalars(select(Event)).all() == []


def test_words_are_those_of_the_persons_language(signed_in, owner):
    with transaction() as session:
        session.get_one(type(owner), owner.id).language = "ru"
    row = attempt(owner, {"cancelled": 1}, status=AttemptStatus.CANCELLED, reason=Reason.BY_OWNER)
    assert db.session.query(Delivery).count() == 1
    head, line = export(signed_in, f"attempts/{row.id}/deliveries.csv")
    assert line[2] == "отменено"
    assert head[2] == "Состояние"


def test_the_stop_list_is_searched_as_its_page_is(signed_in, owner):
    suppress(owner, "a@example.org", SuppressionReason.HARD_BOUNCE, detail="asked by phone")
    suppress(owner, "b@example.org", SuppressionReason.HARD_BOUNCE)
    assert [row[0] for row in export(signed_in, "suppressions.csv?q=phone")[1:]] == ["a@example.org"]


def test_clients_may_be_narrowed_by_a_mailing_of_long_ago(signed_in, owner, monkeypatch):
    monkeypatch.setattr(filters, "OFFERED", 1)
    client = factories.client(owner)
    old = factories.mailing(owner, clients=[client])
    factories.mailing(owner, clients=[client])
    assert len(export(signed_in, f"clients.csv?missed={old.id}")) == 2
