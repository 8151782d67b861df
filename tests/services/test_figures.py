from mailservice import clock
from mailservice.models import MailingStatus
from mailservice.services import figures
from tests import factories


def test_addresses_of_several_owners_are_one_client(app):
    anna, boris = factories.user(), factories.user()
    assert figures.unique_clients() == 0
    for owner, email in ((anna, "X@example.org"), (boris, "x@example.org"), (boris, "y@example.org")):
        factories.client(owner, email=email)
    assert figures.unique_clients() == 2


def test_active_mailings_are_those_under_way_that_nobody_has_stopped(app):
    owner, now = factories.user(), clock.now()
    running = {"status": MailingStatus.RUNNING}
    kinds = ({}, running, running, running | {"paused_at": now}, running | {"disabled_at": now})
    for values in (*kinds, {"status": MailingStatus.FINISHED}):
        factories.mailing(owner, clients=[], **values)
    assert figures.mailings() == {"total": 6, "active": 2}
