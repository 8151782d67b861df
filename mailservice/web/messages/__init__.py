"""Pages of the feature `messages`."""

from mailservice.web.messages.views import blueprint

__all__ = ["blueprint"]
