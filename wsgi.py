"""What gunicorn and the `flask` command load: `app`."""

import sys

from config import SettingsError, load
from mailservice.app import create_app

try:
    app = create_app(load())
except SettingsError as error:
    for line in error.lines:
        print(line, file=sys.stderr)
    raise SystemExit(2) from None
