"""Pages of the feature `suppressions`: the stop list."""

from flask import Blueprint

blueprint = Blueprint("suppressions", __name__, url_prefix="/suppressions")

from mailservice.web.suppressions import views  # noqa: E402, F401
