import pytest

from mailservice.jobs import importing
from mailservice.models import ImportStatus
from tests import factories
from tests import importing as make

FILE = "anna@example.org;Anna Petrova;Moscow\nboris@example.org;Boris Ivanov;Tula\nnobody;;\n"


@pytest.fixture
def owner(app):
    return factories.user(email="owner@example.org")


@pytest.fixture
def run(app, owner, tmp_path):
    def run(*arguments, text=FILE, email="owner@example.org"):
        path = tmp_path / "clients.csv"
        path.write_text(text)
        return app.test_cli_runner().invoke(args=["import-clients", email, str(path), *arguments])

    return run


def test_a_file_becomes_clients_without_redis(app, owner, run):
    app.config["REDIS_URL"] = "redis://127.0.0.1:1/0"
    answer = run()
    assert "3 rows, 2 new, 0 changed, 0 unchanged, 0 duplicate, 1 invalid, 0 suppressed; done." in answer.output
    assert make.clients_of(owner)["anna@example.org"] == ("Anna Petrova", "Moscow")


def test_a_dry_run_changes_nothing(owner, run):
    assert "2 new" in run("--dry-run").output
    assert make.clients_of(owner) == {}


def test_columns_can_be_given(owner, run):
    run("--column", "1=email", "--column", "3=full_name")
    assert make.clients_of(owner)["anna@example.org"] == ("Moscow", "")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((), {"email": "nobody@example.org"}, "There is no user with this address."),
        ((), {"text": "nothing"}, "There are no e-mail addresses in this file."),
        (("--column", "9=email"), {}, "is not a column's number from 1 to 3"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run, arguments, options, words):
    answer = run(*arguments, **options)
    assert answer.exit_code != 0
    assert words in answer.output


def test_send_mailings_goes_on_with_imports_that_nobody_rings_for(app, owner):
    found = make.check(make.take_in(owner, FILE))
    with factories.transaction() as session:
        session.get(type(found), found.id).status = ImportStatus.RUNNING
    app.test_cli_runner().invoke(args=["send-mailings"])
    assert len(make.clients_of(owner)) == 2
    assert importing.steps.at_work() == []
