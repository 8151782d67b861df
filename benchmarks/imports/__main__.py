"""Rows a second from a file to clients: taking the file in, the dry run, the import, and the way back.

    python -m benchmarks.imports [--rows 1000000] [--sqlite]

One process and its database take turns, as with one worker, on an empty database that keeps its promises in a power
cut. What is wanted is wanted of the import of new clients; the dry run before it has a figure of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import databases, ground, machine, table
from mailservice.database import db, transaction
from mailservice.jobs import importing
from mailservice.models import Import, ImportStatus, User
from mailservice.services.importing import imports
from mailservice.services.importing.imports import Existing
from tests import factories

WANTED = 20_000  # rows a second on PostgreSQL
DOMAINS = 3_000
NAMES = ("Анна Петрова", "Борис Иванов", "Иван Сергеевич Кузнецов", "Mary-Ann O'Neil", "Ольга Лебедева")


def main() -> None:
    asked = _asked()
    with tempfile.TemporaryDirectory(prefix="mailservice-imports-") as name, contextlib.ExitStack() as stack:
        server = databases.Sqlite() if asked.sqlite else stack.enter_context(databases.postgresql())
        folder = Path(name)
        url = stack.enter_context(server.empty())
        stack.enter_context(ground.service(folder / "instance", mail_port=25, database_url=url))
        print(f"{machine.description()}; {server.name}\n")
        checked, imported = _measure(folder, asked.rows, server)
    speed = asked.rows / imported
    print(f"\nImport: {speed:,.0f} rows/s (wanted on PostgreSQL: {WANTED:,}); dry run: {asked.rows / checked:,.0f};")
    print(f"both together: {asked.rows / (checked + imported):,.0f}. Load afterwards: {machine.load()}.")
    sys.exit(0 if asked.sqlite or speed >= WANTED else 1)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    return parser.parse_args()


def _measure(folder: Path, rows: int, server: databases.Database) -> tuple[float, float]:
    """The whole way with a file of new clients, then with the same file, changed; seconds of the first dry run and
    import."""
    owner = factories.user()
    file, changed = folder / "clients.csv", folder / "changed.csv"
    _write(file, rows, "")
    _write(changed, rows, " (2)")
    lines = []

    def timed(name: str, act: Callable[[], Import]) -> tuple[Import, float]:
        begun, used = time.perf_counter(), time.process_time() + server.cpu()
        found = act()
        seconds, used = time.perf_counter() - begun, time.process_time() + server.cpu() - used
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        each = f"{used / rows * 1e6:.0f}"
        lines.append((name, f"{seconds:.1f}", f"{used:.1f}", each, table.number(rows / seconds), f"{memory:,.0f}"))
        print(f"{name}: {rows / seconds:,.0f} rows/s", file=sys.stderr)
        return found, seconds

    found, _ = timed("taking the file in", lambda: _take_in(owner, file))
    found, checked = timed("dry run", lambda: _check(found))
    found, imported = timed("import of new clients", lambda: _start(found))
    second, _ = timed("taking the changed file in", lambda: _take_in(owner, changed))
    second, _ = timed("dry run of changes", lambda: _check(second))
    second, _ = timed("import of changes", lambda: _start(second))
    timed("undoing the changes", lambda: _undo(second))
    timed("undoing everything", lambda: _undo(_fresh(found)))
    print(table.table(("", "s", "s of CPU", "µs/row", "rows/s", "peak memory, MB"), lines))
    return checked, imported


def _write(path: Path, rows: int, suffix: str) -> None:
    """As a shop's list looks: some thousand domains, names in Cyrillic and Latin, most with a comment."""
    with path.open("w", encoding="utf-8") as file:
        file.write("Клиент;Электронная почта;Примечание\n")
        for n in range(rows):
            domain = f"shop{n % DOMAINS}.example.org" if n % 3 else "example.com"
            comment = f"заказ {n}, Москва" if n % 4 else ""
            file.write(f"{NAMES[n % len(NAMES)]}{suffix};client.{n}@{domain};{comment}\n")


def _take_in(owner: User, path: Path) -> Import:
    with path.open("rb") as source:
        upload = imports.take_in(
            owner, source, filename=path.name, folder=importing.imports_path(), largest=path.stat().st_size
        )
    with transaction():
        return imports.create(owner, upload, filename=path.name)


def _check(found: Import) -> Import:
    with transaction():
        imports.check(found, roles=found.columns, has_header=True, existing=Existing.OVERWRITE)
    return _worked_off(found, ImportStatus.CHECKED)


def _start(found: Import) -> Import:
    with transaction():
        imports.start(found)
    return _worked_off(found, ImportStatus.DONE)


def _undo(found: Import) -> Import:
    with transaction():
        imports.undo(found)
    return _worked_off(found, ImportStatus.UNDONE)


def _worked_off(found: Import, status: ImportStatus) -> Import:
    importing.work_on(found.id, must_stop=lambda: False)
    found = _fresh(found)
    assert found.status is status, found.failure
    return found


def _fresh(found: Import) -> Import:
    return db.session.get_one(Import, found.id, populate_existing=True)


if __name__ == "__main__":
    main()
