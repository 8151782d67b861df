"""Whose pages they are, unless a file says otherwise: those of a user in UTC, signed in."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mailservice.models import User
from tests import factories


@pytest.fixture
def owner(app: Flask) -> User:
    return factories.user(time_zone="UTC")


@pytest.fixture
def signed_in(browser: FlaskClient, owner: User) -> FlaskClient:
    """The owner's browser."""
    return factories.sign_in(browser, owner)
