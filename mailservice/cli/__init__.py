"""The `flask` commands: one module each, with its click command named `command`."""

import importlib
import pkgutil

from flask import Flask


def init_app(app: Flask) -> None:
    for module in pkgutil.iter_modules(__path__):
        app.cli.add_command(importlib.import_module(f"{__name__}.{module.name}").command)
