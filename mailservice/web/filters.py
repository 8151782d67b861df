"""Template filters and names that every page knows."""

from flask import Flask


def init_app(app: Flask) -> None:
    pass
