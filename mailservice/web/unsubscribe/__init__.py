"""Pages of the feature `unsubscribe`."""

from flask import Blueprint

blueprint = Blueprint("unsubscribe", __name__, url_prefix="/unsubscribe")
