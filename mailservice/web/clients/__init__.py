"""Pages of the feature `clients`."""

from flask import Blueprint

blueprint = Blueprint("clients", __name__, url_prefix="/clients")

from mailservice.web.clients import bulk, duplicates, saved, tags, views  # noqa: E402, F401
