"""Pages of the feature `auth`: registering, signing in and out, proving an address, a new password."""

from flask import Blueprint

blueprint = Blueprint("auth", __name__)

from mailservice.web.auth import letters, views  # noqa: E402, F401
