import pytest
from mailservice.database import transaction, db
from mailservice.models import User


@pytest.mark.parametrize("n", range(5))
def test_ground(app, browser, n):
    with transaction() as s:
        s.add(User(email="a", email_normalised="a", password_hash="x"))
    assert db.session.query(User).count() == 1
    assert browser.get("/nowhere").status_code == 404
