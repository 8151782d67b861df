import os
import stat

import pytest
from flask_migrate import upgrade

from config import ROOT
from mailservice.app import create_app
from mailservice.inbox.store import Store


@pytest.fixture
def careless():
    """A process that lets everybody read its files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def others_may(path):
    return stat.S_IMODE(path.stat().st_mode) & 0o077


def test_files_are_for_the_services_own_user(make_settings, tmp_path, careless):
    folder = tmp_path / "instance"
    folder.mkdir()
    app = create_app(make_settings(INSTANCE_PATH=folder))
    with app.app_context():
        upgrade(str(ROOT / "migrations"))
    Store(folder / "inbox.db", keep=10).close()
    made = [folder, *folder.rglob("*")]
    assert {path.name for path in made} >= {"mailservice.db", "inbox.db"}
    assert not [path for path in made if others_may(path)]


def test_a_shared_folder_stays_shared(make_settings, tmp_path, careless):
    tmp_path.chmod(0o1777)
    create_app(make_settings(INSTANCE_PATH=tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
