"""Pages of the feature `health`."""

from flask import Blueprint

blueprint = Blueprint("health", __name__, url_prefix="/health")
