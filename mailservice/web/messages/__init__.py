"""Pages of the feature `messages`."""

from mailservice.web.messages import drafts, pictures  # noqa: F401  (their addresses)
from mailservice.web.messages.views import blueprint

__all__ = ["blueprint"]
