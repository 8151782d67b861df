"""Pages of the feature `unsubscribe`."""

from mailservice.web.unsubscribe.views import blueprint

__all__ = ["blueprint"]
