"""Pages of the feature `mailings`."""

from flask import Blueprint

blueprint = Blueprint("mailings", __name__, url_prefix="/mailings")
