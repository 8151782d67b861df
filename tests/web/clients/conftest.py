"""The owner of clients is signed in wherever he is named."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from mailservice.models import User
from tests import factories


@pytest.fixture
def owner(browser: FlaskClient) -> User:
    user = factories.user()
    factories.sign_in(browser, user)
    return user
