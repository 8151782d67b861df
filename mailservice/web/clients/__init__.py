"""Pages of the feature `clients`."""

from flask import Blueprint

blueprint = Blueprint("clients", __name__, url_prefix="/clients")
