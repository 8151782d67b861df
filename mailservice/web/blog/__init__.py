"""Pages of the feature `blog`: what readers see, and the editors' desk."""

from mailservice.web.blog import feeds  # noqa: F401  (its addresses)
from mailservice.web.blog.desk import blueprint as desk_blueprint
from mailservice.web.blog.views import blueprint

__all__ = ["blueprint", "desk_blueprint"]
