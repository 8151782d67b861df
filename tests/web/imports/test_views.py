"""The pages of an import: from the upload to the result, what is refused beside its field, and the way back."""

from __future__ import annotations

import io
import re

import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.jobs import importing
from mailservice.models import Client, Import, ImportStatus
from mailservice.queues import QueueName, queue
from tests import factories
from tests import importing as make
from tests.factories import post
from tests.services.importing.test_imports import FILE, suppress

NEW = "/clients/imports/new"


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def page(browser, owner):
    return factories.sign_in(browser, owner)


def upload(page, data, filename="clients.csv"):
    data = data.encode() if isinstance(data, str) else data
    return post(page, NEW, {"file": (io.BytesIO(data), filename)}, content_type="multipart/form-data")


def latest():
    query = select(Import).order_by(Import.id.desc()).execution_options(populate_existing=True)
    return db.session.scalars(query).first()


def ring():
    """What a worker does with what was rung for."""
    jobs = queue(QueueName.SENDING).get_job_ids()
    assert len(jobs) == 1
    queue(QueueName.SENDING).empty()
    importing.take_turn(latest().id)


def test_the_way_from_the_file_to_the_clients_and_back(page, owner):
    factories.client(owner, email="boris@example.org", full_name="Boris Ivanov")
    suppress(owner, "gone@example.org")
    shown = page.get(upload(page, FILE).location)
    assert re.search(r'name="column_0".*?<option selected value="email">', shown.text, re.DOTALL)
    choice = {"column_0": "email", "column_1": "full_name", "column_2": "", "has_header": "y", "existing": "overwrite"}
    choice |= {"encoding": "utf-8", "delimiter": ";"}
    address = f"/clients/imports/{latest().id}"
    assert post(page, f"{address}/check", choice).location == address
    assert "data-live" in page.get(address).text
    ring()
    checked = page.get(address)
    assert "<b>2 clients are added</b>" in checked.text
    assert "<b>1 is changed</b>" in checked.text
    assert '<span class="was">Boris Ivanov</span> Борис Другой' in checked.text
    assert "this address stands in the file before" in checked.text
    assert "on the stop list: unsubscribed" in checked.text
    assert post(page, f"{address}/start").location == address
    ring()
    assert make.clients_of(owner)["new@example.org"] == ("Новый Клиент", "")
    assert "Undo the import" in page.get(address).text
    post(page, f"{address}/undo")
    ring()
    assert "2 clients were removed." in page.get(address).text
    assert make.clients_of(owner) == {"boris@example.org": ("Boris Ivanov", "")}
    assert "clients.csv" in page.get("/clients/imports").text


def test_a_table_can_be_pasted(page, owner):
    answer = post(page, NEW, {"text": "Anna Petrova\tanna@example.org\n"}, content_type="multipart/form-data")
    found = make.start(make.check(latest()))
    assert answer.location == f"/clients/imports/{found.id}"
    assert make.clients_of(owner) == {"anna@example.org": ("Anna Petrova", "")}


def test_what_was_pasted_is_kept_when_it_is_refused(page):
    answer = post(page, NEW, {"text": "no addresses here"}, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert re.search(r'id="text-error">.*There are no e-mail addresses', answer.text)
    assert "no addresses here" in answer.text


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (b"", "a.csv", "This file is empty."),
        (b"PK\x03\x04rubbish", "a.xlsx", "This workbook is damaged."),
        (b"email\n\x00\x01\x02@\x03", "a.csv", "This is not a table that can be read."),
    ],
)
def test_a_file_that_is_none_gets_a_message_beside_the_field_and_leaves_nothing(page, data, filename, message):
    answer = upload(page, data, filename)
    assert answer.status_code == 422
    assert re.search(f'id="file-error">.*{message}', answer.text)
    assert latest() is None
    assert list(importing.imports_path().glob("*/*.*")) == []


def test_a_form_without_anything_is_told_so(page):
    answer = post(page, NEW, content_type="multipart/form-data")
    assert re.search(r'id="file-error">.*This file is empty', answer.text)


def test_a_file_may_be_bigger_than_other_forms_and_has_its_own_limit(app, page):
    big = "email,comment\n" + "a@example.org," + "x" * 1000 + "\n"
    assert upload(page, big * 20_000).status_code == 302
    limited = {"CONTENT_LENGTH": str(200 * make.MEGABYTE)}
    answer = page.post(NEW, environ_overrides=limited, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413
    assert re.search(r'id="file-error">.*a file may have 100 MB', answer.text)


def test_no_column_of_addresses_is_told_above_the_form(page):
    upload(page, FILE)
    choice = {"column_0": "", "column_1": "", "column_2": "", "existing": "keep", "encoding": "utf-8", "delimiter": ";"}
    answer = post(page, f"/clients/imports/{latest().id}/check", choice)
    assert answer.status_code == 422
    assert "Choose one column that holds the e-mail addresses." in answer.text
    assert latest().status is ImportStatus.DRAFT


def test_a_file_can_be_read_again_in_another_encoding(page):
    upload(page, "Café;email\nZoé;a@example.org\n".encode("cp1252"))
    assert latest().encoding == "cp1251"
    assert "Zoй" in page.get(f"/clients/imports/{latest().id}").text
    post(page, f"/clients/imports/{latest().id}/read", {"encoding": "cp1252", "delimiter": ";"})
    assert "Zoé" in page.get(f"/clients/imports/{latest().id}").text


def test_the_rejected_rows_come_as_a_file_in_which_nothing_is_a_formula(page, owner):
    found = make.check(make.take_in(owner, 'email;name\nnobody;"=1+1"\n@bad;Ok\ngood@example.org;Good\n'))
    answer = page.get(f"/clients/imports/{found.id}/rejected.csv")
    assert answer.mimetype == "text/csv"
    assert answer.data.decode("utf-8-sig").splitlines() == [
        "Row;Reason;E-mail;Full name;Comment",
        "2;this is no e-mail address;nobody;'=1+1;",
        "3;this is no e-mail address;'@bad;Ok;",
    ]


def test_the_part_that_moves_tells_how_far_it_is(page, owner):
    found = make.check(make.take_in(owner, FILE))
    with factories.transaction() as session:
        row = session.get(Import, found.id)
        row.status, row.applied = ImportStatus.RUNNING, row.number // 2
    part = page.get(f"/clients/imports/{found.id}/progress").text
    assert 'data-state="running"' in part
    assert "50 %" in part
    assert "<html" not in part


def test_an_act_out_of_turn_is_said_on_the_page(page, owner):
    found = make.run(owner, "email\na@example.org\n")
    answer = post(page, f"/clients/imports/{found.id}/start", follow_redirects=True)
    assert "This import has gone on meanwhile." in answer.text


def test_deleting_an_import_deletes_its_files(page, owner):
    found = make.take_in(owner, FILE)
    assert list(importing.imports_path().glob("*/*.*"))
    post(page, f"/clients/imports/{found.id}/delete")
    assert latest() is None
    assert list(importing.imports_path().glob("*/*.*")) == []


def test_the_files_of_an_account_go_with_it(page, owner):
    make.take_in(owner, FILE)
    post(page, "/account/delete", {"current_password": factories.PASSWORD})
    assert db.session.scalar(select(func.count(Import.id))) == 0
    assert list(importing.imports_path().glob("*")) == []


def test_the_list_of_clients_leads_to_imports(page):
    assert 'href="/clients/imports"' in page.get("/clients").text


def test_clients_of_an_import_remember_it(owner):
    found = make.run(owner, "email\na@example.org\n")
    assert db.session.scalars(select(Client.import_id)).all() == [found.id]
