"""Postfix's smtp-source and smtp-sink: from a given folder, from this machine, or fetched from Debian's package.

Only the two programs are used. Nothing is installed, and no mail server is started.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.contest import Missing

PLACES = ("", "sbin", "usr/sbin")  # of the programs in a folder: itself, or the root of an unpacked package
LIBRARIES = "usr/lib/postfix"


@dataclass(frozen=True)
class Postfix:
    """The folder with the programs, and of their libraries where the loader would not find them itself."""

    programs: Path
    libraries: Path | None = None
    version: str = ""

    def program(self, name: str) -> Path:
        return self.programs / name

    @property
    def environment(self) -> dict[str, str]:
        libraries = {"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {}
        return {**os.environ, **libraries}


def find(folder: Path | None, scratch: Path) -> Postfix:
    """The programs: in `folder` if it is given; else this machine's; else of a package put into `scratch`."""
    if folder:
        return _in(folder) or _absent(f"there are no smtp-source and smtp-sink in {folder}")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    if (source := shutil.which("smtp-source", path=path)) and shutil.which("smtp-sink", path=path):
        return Postfix(Path(source).parent)
    return _fetch(scratch)


def _in(folder: Path) -> Postfix | None:
    for place in PLACES:
        if (folder / place / "smtp-source").is_file() and (folder / place / "smtp-sink").is_file():
            libraries = folder / LIBRARIES
            return Postfix(folder / place, libraries if libraries.is_dir() else None)
    return None


def _fetch(scratch: Path) -> Postfix:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        _absent("install postfix, or name the folder of its programs: make bench POSTFIX=folder")
    try:
        # apt-get puts it where it stands; as root it would like to become _apt, who may not write here.
        processes.run(["sh", "-c", 'cd "$0" && apt-get -qq -o APT::Sandbox::User=root download postfix', scratch])
        package = next(scratch.glob("postfix_*.deb"))
        processes.run(["dpkg-deb", "-x", package, scratch / "postfix"])
    except (Missing, StopIteration) as error:
        raise Missing(f"apt-get cannot download postfix ({error})") from error
    found = _in(scratch / "postfix") or _absent("Debian's postfix package has no smtp-source and smtp-sink")
    return Postfix(found.programs, found.libraries, package.name.split("_")[1])


def _absent(words: str) -> Postfix:
    raise Missing(words)
