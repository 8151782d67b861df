"""What gunicorn and the `flask` command load: `app`."""

import atexit
import gc
import sys

from config import SettingsError, load
from mailservice.app import create_app

# Else the interpreter looks through all that was ever loaded before it ends, for half a second in each process.
atexit.register(gc.freeze)

try:
    app = create_app(load())
except SettingsError as error:
    for line in error.lines:
        print(line, file=sys.stderr)
    raise SystemExit(2) from None
