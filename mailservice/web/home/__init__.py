"""Pages of the feature `home`."""

from flask import Blueprint

blueprint = Blueprint("home", __name__, url_prefix="/home")
