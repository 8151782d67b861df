"""Pages of the feature `signups`: the owner's sign-up form, its settings and its public pages."""

from mailservice.web.signups.public import blueprint as public_blueprint
from mailservice.web.signups.settings import blueprint

__all__ = ["blueprint", "public_blueprint"]
