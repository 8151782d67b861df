"""Pages of the feature `auth`: registering, signing in and out, proving an address, a new password."""

from flask import Blueprint, Response

blueprint = Blueprint("auth", __name__)


@blueprint.after_request
def _keep_nothing(response: Response) -> Response:
    """Pages of links with tokens and of passwords stay in no cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


from mailservice.web.auth import letters, views  # noqa: E402, F401
