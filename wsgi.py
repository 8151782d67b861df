"""What gunicorn and the `flask` command load: `app`."""

import sys

from mailservice.app import create_app

from config import SettingsError, load

try:
    app = create_app(load())
except SettingsError as error:
    for line in error.lines:
        print(line, file=sys.stderr)
    raise SystemExit(2) from None
