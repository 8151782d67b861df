"""Pages of the feature `imports`: clients from files."""

from mailservice.web.imports.views import blueprint

__all__ = ["blueprint"]
