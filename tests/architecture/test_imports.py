"""Who may import whom. The table is the law; everything below it reads the code (by its syntax tree) and compares."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from config import ROOT

# Each layer, and the layers of ours it may use. A layer stands below all that use it: arrows run up the page only.
MAY_IMPORT = {
    "smtp": "",
    "urls": "",
    "mail_servers": "urls",
    "config": "mail_servers smtp urls",
    "clock": "",
    "errors": "",
    "extensions": "",
    "queues": "",
    "database": "clock",
    "caching": "clock extensions",
    "models": "database clock",
    "sending": "models database smtp clock errors mail_servers urls",
    "services": "models sending smtp database clock errors config",
    "account_mail": "services sending smtp models database clock queues config mail_servers",
    "visits": "caching models database clock queues",
    "jobs": "visits account_mail services sending smtp models database clock errors queues config mail_servers",
    "inbox": "clock config",
    "runtime": "clock config",
    "web": "visits caching account_mail services sending models database clock errors queues extensions config",
    "cli": "jobs inbox runtime account_mail services sending models database clock errors queues config",
    "app": "web cli jobs caching services sending models database extensions queues config",
    "wsgi": "app config",
}

# What of the world outside belongs to some layers alone.
ONLY_IN = {
    "smtplib": {"account_mail"},
    "flask_mail": {"account_mail"},
    "flask_wtf": {"web", "extensions"},
    "wtforms": {"web"},
    "flask_login": {"web", "extensions", "models"},  # models: the mixin of User
    "click": {"cli"},
    "rq": {"queues", "jobs"},
    "rq_scheduler": {"queues", "jobs"},
    "redis": {
        "queues",
        "caching",
        "jobs",
        "runtime",
        "services",
        "sending",
    },  # the last two ask one that is given
    "socket": {"smtp", "account_mail", "sending", "runtime"},  # sending: the name of this machine
    "aiosmtpd": {"inbox"},
    "flask_sqlalchemy": {"database"},
}

# An import inside a function needs a reason: (module, what it imports) -> why.
LATE_IMPORTS: dict[tuple[str, str], str] = {}

# A cycle between two modules of one feature needs a reason.
BLUEPRINT = "a feature's package makes the blueprint that its views hang on, and then loads them"
CYCLES = {
    frozenset({"mailservice.web.auth", "mailservice.web.auth.letters", "mailservice.web.auth.views"}): BLUEPRINT,
    frozenset(
        {"mailservice.web.clients"}
        | {f"mailservice.web.clients.{name}" for name in ("bulk", "duplicates", "saved", "tags", "views")}
    ): BLUEPRINT,
    frozenset({"mailservice.web.home", "mailservice.web.home.views"}): BLUEPRINT,
    frozenset({"mailservice.web.suppressions", "mailservice.web.suppressions.views"}): BLUEPRINT,
}

# Files longer than LONGEST lines that were asked why.
LONGEST = 300
LONGER: dict[str, str] = {}

PACKAGE = ROOT / "mailservice"
EMPTY_NAMES = ("utils", "helpers", "common", "misc")


class Import(NamedTuple):
    """One imported name, by its full path, and where it stands in the file."""

    name: str
    line: int
    in_function: bool
    for_types: bool  # under `if TYPE_CHECKING`: it is not there when the program runs


class Module(NamedTuple):
    name: str  # mailservice.web.auth.views
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def layer(self) -> str:
        return layer_of(self.name)


def layer_of(name: str) -> str:
    """The layer of a module of ours; empty for what is not ours."""
    first, _, rest = name.partition(".")
    if first in ("config", "wsgi"):
        return first
    return rest.partition(".")[0] if first == "mailservice" else ""


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT).with_suffix("")
    name = ".".join(relative.parts).removesuffix(".__init__")
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return Module(name, path, tree, tuple(_imports(tree, package)))


def _imports(node: ast.AST, package: str, in_function: bool = False, for_types: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, in_function, for_types)
        elif isinstance(child, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
            source = ".".join([*parents, *([child.module] if child.module else [])])
            for alias in child.names:
                yield Import(f"{source}.{alias.name}", child.lineno, in_function, for_types)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _imports(child, package, in_function or is_function, for_types or is_types)


MODULES = {
    module.name: module for module in map(_read, [*sorted(PACKAGE.rglob("*.py")), ROOT / "config.py", ROOT / "wsgi.py"])
}


def _module_behind(imported: str) -> str | None:
    """The module of ours that an imported name is, or is taken from."""
    while imported and imported not in MODULES:
        imported = imported.rpartition(".")[0]
    return imported or None


def _found(*, in_layers: set[str] | None = None) -> Iterator[tuple[Module, Import]]:
    for module in MODULES.values():
        if in_layers is None or module.layer in in_layers:
            for imported in module.imports:
                yield module, imported


def _at(module: Module, line: int) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}"


def test_the_table_knows_every_layer_and_its_arrows_run_one_way():
    assert {module.layer for module in MODULES.values()} - {""} == set(MAY_IMPORT)
    seen: set[str] = set()
    for layer, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= seen, f"{layer} may use only what stands above it in the table"
        seen.add(layer)


def test_no_module_imports_from_a_layer_that_is_not_its_to_use():
    broken = [
        f"{_at(module, imported.line)}: {module.layer} imports {imported.name}"
        for module, imported in _found()
        if (layer := layer_of(imported.name)) and layer not in {module.layer, *MAY_IMPORT.get(module.layer, "").split()}
    ]
    assert broken == []


def test_what_is_outside_stays_where_it_belongs():
    broken = [
        f"{_at(module, imported.line)}: {imported.name}"
        for module, imported in _found()
        if module.layer not in ONLY_IN.get(imported.name.partition(".")[0], {module.layer})
    ]
    assert broken == []


def test_the_smtp_client_and_the_clock_use_the_standard_library_only():
    broken = [
        f"{_at(module, imported.line)}: {imported.name}"
        for module, imported in _found(in_layers={"smtp", "clock", "errors"})
        if imported.name.partition(".")[0] not in {*sys.stdlib_module_names, "mailservice"}
    ]
    assert broken == []


def test_services_and_the_engine_know_no_request_no_person_no_app():
    broken = [
        f"{_at(module, imported.line)}: {imported.name}"
        for module, imported in _found(in_layers={"services", "sending", "models", "smtp"})
        if imported.name.startswith(("flask.", "flask_login.current_user", "werkzeug."))
    ]
    assert broken == []


def test_services_never_commit():
    """Nor do they open a transaction of their own: that is the edges' act. A savepoint within it is theirs."""
    broken = [
        f"{_at(module, node.lineno)}: {ast.unparse(node)}"
        for module in MODULES.values()
        if module.layer == "services"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback", "begin")
    ]
    broken += [
        f"{_at(module, imported.line)}: {imported.name}"
        for module, imported in _found(in_layers={"services"})
        if imported.name in ("mailservice.database.transaction", "mailservice.database.write")
    ]
    assert broken == []


def test_imports_stand_at_the_top_of_their_file():
    late = {(m.name, i.name): _at(m, i.line) for m, i in _found() if i.in_function and not i.for_types}
    unexplained = {where for key, where in late.items() if key not in LATE_IMPORTS}
    assert unexplained == set()
    assert set(LATE_IMPORTS) <= set(late), "the list of exceptions names an import that is gone"


def test_there_is_no_import_cycle():
    graph = {
        module.name: {
            behind
            for imported in module.imports
            if not imported.for_types and (behind := _module_behind(imported.name)) and behind != module.name
        }
        for module in MODULES.values()
    }
    cycles = {frozenset(group) for group in _knots(graph)}
    assert {tuple(sorted(cycle)) for cycle in cycles - set(CYCLES)} == set()
    assert set(CYCLES) <= cycles, "the list of exceptions names a cycle that is gone"


def _knots(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """Groups of modules of which each reaches each."""
    reached = {start: _reachable(graph, start) for start in graph}
    done: set[str] = set()
    for start, ends in reached.items():
        if start in ends and start not in done:
            group = {other for other in ends if start in reached[other]}
            done |= group
            yield group


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


def test_no_module_has_a_name_that_means_nothing():
    broken = [
        name
        for name in MODULES
        if name.rpartition(".")[2] in EMPTY_NAMES or name.endswith(("_manager", "_utils", "_helpers"))
    ]
    assert broken == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_too_long_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST or str(path.relative_to(PACKAGE)) in LONGER, f"{lines} lines"


def test_nothing_prints():
    broken = [
        _at(module, node.lineno)
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "pprint", "breakpoint")
        and module.name != "wsgi"  # its last words when the settings are unsafe: no log stands yet
    ]
    assert broken == []


def test_only_the_clock_tells_the_moment():
    """A naive moment, or one from elsewhere, cannot be compared with those in the database."""
    broken = [
        f"{_at(module, node.lineno)}: {ast.unparse(node)}"
        for module in MODULES.values()
        if module.layer not in ("clock", "runtime")  # runtime: the time on a terminal's lines, for a person's eyes
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value).rpartition(".")[2] in ("datetime", "date")
        and node.func.attr in ("now", "utcnow", "today", "utcfromtimestamp")
    ]
    assert broken == []


def test_the_package_itself_does_nothing():
    """So that a leaf of it loads alone."""
    statements = MODULES["mailservice"].tree.body
    assert [ast.unparse(s) for s in statements[1:]] == []
    assert ast.get_docstring(MODULES["mailservice"].tree)
