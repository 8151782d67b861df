"""Views: one for each visitor and day, none for robots and authors, none lost, and no write for a page."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
import time_machine
from werkzeug.utils import import_string

from mailservice import caching, clock, visits
from mailservice.database import db
from mailservice.models import Post
from mailservice.queues import Job
from tests import factories, queries
from tests.test_caching import hung_redis, redis_at  # noqa: F401  (fixtures)

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"


@pytest.fixture
def post(app):
    return factories.blog_post(factories.user())


def read(browser, post, agent=FIREFOX, address="192.0.2.1", **headers):
    headers = {"User-Agent": agent} | headers
    answer = browser.get(f"/blog/{post.slug}", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == 200


def views(post) -> int:
    visits.flush()
    db.session.rollback()
    return db.session.get(Post, post.id).views


def test_each_visitor_counts_once_a_day(browser, post):
    for _ in range(3):
        read(browser, post)
    assert views(post) == 1
    read(browser, post, address="192.0.2.2")
    read(browser, post, agent=CHROME)
    read(browser, post)
    assert views(post) == 3
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        read(browser, post)
        assert views(post) == 4


def test_each_post_counts_for_itself(browser, post):
    other = factories.blog_post()
    read(browser, post)
    read(browser, other)
    assert (views(post), views(other)) == (1, 1)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0",
        "facebookexternalhit/1.1",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0 Safari/537.36",
        "curl/8.5.0",
        "python-requests/2.32",
        "Feedly/1.0",
    ],
)
def test_robots_do_not_count(agent):
    assert not visits.is_person(agent)


@pytest.mark.parametrize(
    "agent", [FIREFOX, CHROME, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"]
)
def test_browsers_do(agent):
    assert visits.is_person(agent)


def test_neither_robots_nor_the_author_nor_a_look_ahead_count(browser, app, post):
    read(browser, post, agent="Googlebot/2.1")
    read(browser, post, **{"Sec-Purpose": "prefetch"})
    browser.head(f"/blog/{post.slug}", headers={"User-Agent": FIREFOX})
    read(factories.sign_in(browser, post.author), post)
    assert views(post) == 0
    read(factories.sign_in(app.test_client(), factories.user()), post)
    assert views(post) == 1


def test_a_view_asks_the_database_nothing(browser, post):
    path, seen = f"/blog/{post.slug}", {"User-Agent": FIREFOX}
    read(browser, post)
    with queries.counted() as statements:
        browser.get(path, headers=seen, environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert statements == []
    assert views(post) == 2


def test_the_periodic_job_of_this_name_writes_them_down(browser, post):
    post_id = post.id
    read(browser, post)
    import_string(Job.WRITE_VIEWS.value)()
    assert db.session.get(Post, post_id).views == 1


def test_no_address_is_kept_and_what_is_kept_goes_after_a_day(browser, post, redis):
    read(browser, post)
    keys = redis.keys("mailservice:views:seen:*")
    assert len(keys) == 1
    assert 0 < redis.ttl(keys[0]) <= 90_000
    assert all(len(member) == 12 for member in redis.smembers(keys[0]))
    assert not browser.get_cookie("visitor")


def test_being_read_is_no_change_of_the_post(browser, post):
    before = post.updated_at
    read(browser, post)
    assert views(post) == 1
    assert db.session.get(Post, post.id).updated_at == before


def test_without_redis_views_are_counted_in_memory_and_written_down_together(browser, post, redis_at, tmp_path):  # noqa: F811
    redis_at(f"unix://{tmp_path}/nobody.sock")
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        read(browser, post, address=address)
    assert db.session.get(Post, post.id).views == 0
    assert views(post) == 2
    assert views(post) == 2


def test_memory_is_written_down_after_a_minute_without_any_job(app, browser, post, redis_at, tmp_path, monkeypatch):  # noqa: F811
    redis_at(f"unix://{tmp_path}/nobody.sock")
    read(browser, post)
    monkeypatch.setattr(visits, "WRITE_EVERY", 0.0)
    read(browser, post, address="192.0.2.2")
    db.session.rollback()
    assert db.session.get(Post, post.id).views == 2


def test_what_the_database_does_not_take_is_kept_for_the_next_time(app, browser, post, monkeypatch):
    read(browser, post)

    def broken():
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(visits, "write", broken)
        visits.flush()
    assert views(post) == 1


def test_a_flood_of_visitors_does_not_fill_redis(browser, post, redis, monkeypatch):
    monkeypatch.setattr(visits, "MOST_VISITS", 2)
    for number in range(5):
        read(browser, post, address=f"192.0.2.{number}")
    assert views(post) == 2
    assert sum(redis.scard(key) for key in redis.keys("mailservice:views:seen:*")) == 2


def test_views_of_a_deleted_post_disturb_nobody(browser, post):
    read(browser, post)
    other = factories.blog_post()
    read(browser, other)
    with factories.transaction() as session:
        session.delete(session.get(Post, post.id))
    assert views(other) == 1


STOPPED = """
import sys
from config import load
from mailservice import visits
from mailservice.app import create_app
app = create_app(load())
with app.app_context():
    visits.count(int(sys.argv[1]), address="192.0.2.1", agent="Firefox")
"""


def test_a_process_that_stops_writes_down_what_only_it_knows(app, settings, database, post, tmp_path):
    environment = {
        "PATH": "/usr/bin:/bin",
        "INSTANCE_PATH": str(settings.instance_path),
        "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "PYTHONPATH": ":".join(sys.path),
    }
    subprocess.run([sys.executable, "-c", STOPPED, str(post.id)], env=environment, check=True, timeout=60)
    db.session.rollback()
    assert db.session.get(Post, post.id).views == 1


def test_nothing_is_asked_while_redis_is_silent(app, post, redis):
    app.extensions["caching"].silent_until = clock.steady() + 60
    visits.count(post.id, address="192.0.2.1", agent=FIREFOX)
    assert redis.keys("mailservice:views:*") == []
    app.extensions["caching"].silent_until = 0.0
    assert views(post) == 1
    assert caching.PATIENCE < 1
