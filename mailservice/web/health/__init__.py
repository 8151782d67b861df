"""Answers for whoever watches over the service: is it alive, is it ready."""

from mailservice.web.health.views import blueprint

__all__ = ["blueprint"]
