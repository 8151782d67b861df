"""axe-core, which finds what shuts people out of a page: fetched by npm into .axe/ once (`make axe`), never shipped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from config import ROOT

VERSION = "4.10.3"
FOLDER = ROOT / ".axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"


def source() -> str | None:
    """The script; None where it is not here and npm is not either, or npm does not get it."""
    if not SCRIPT.exists() and not _fetch(FOLDER):
        return None
    return SCRIPT.read_text(encoding="utf-8")


def _fetch(folder: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        return False
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    folder.mkdir(exist_ok=True)
    done = subprocess.run([npm, "install", *options, f"axe-core@{VERSION}"], capture_output=True, timeout=120)
    return done.returncode == 0 and SCRIPT.exists()


if __name__ == "__main__":
    raise SystemExit(0 if source() else "npm is not here, or it could not fetch axe-core")
