"""Pages of the feature `account`: what a person changes about oneself."""

from mailservice.web.account.views import blueprint

__all__ = ["blueprint"]
