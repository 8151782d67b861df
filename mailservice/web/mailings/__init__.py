"""Pages of the feature `mailings`."""

from mailservice.web.mailings.views import blueprint

__all__ = ["blueprint"]
