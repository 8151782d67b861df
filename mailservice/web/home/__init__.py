"""Pages of the feature `home`."""

from flask import Blueprint

blueprint = Blueprint("home", __name__)

from mailservice.web.home import views  # noqa: E402, F401
