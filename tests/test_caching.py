"""What is kept, what is forgotten at once, and what becomes of pages when Redis is away or hangs."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from mailservice import caching, clock
from mailservice.caching import Topic, remembered
from mailservice.database import transaction
from mailservice.models import Client, Mailing, Post
from mailservice.web.blog import kept
from tests import factories
from tests.servers import valkey_at


@pytest.fixture
def redis_at(app):
    """Points the app at another Redis for this test: `redis_at(url)`."""
    right = app.config["REDIS_URL"]

    def point(url):
        app.config["REDIS_URL"] = url
        app.extensions.pop("redis_clients", None)
        app.extensions.pop("visits", None)
        caching.init_app(app)

    point(right)
    yield point
    point(right)


@pytest.fixture
def hung_redis():
    """The URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.fixture
def made():
    """A maker that gives another number each time."""
    return itertools.count(1).__next__


def test_a_thing_is_made_once_and_kept_under_its_name(app, made):
    assert remembered("a", made, topics=[Topic.POSTS]) == 1
    assert remembered("a", made, topics=[Topic.POSTS]) == 1
    assert remembered("b", made, topics=[Topic.POSTS]) == 2


def test_what_comes_back_is_what_was_kept_moments_and_all(app):
    thing = {"at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "rows": [1, None, "ж"], "none": None}
    for _ in range(2):
        assert remembered("thing", lambda: thing, topics=[Topic.POSTS]) == thing


def test_nothing_is_pickled(app, redis):
    remembered("thing", lambda: {"a": 1}, topics=[Topic.POSTS])
    values = [redis.get(key) for key in redis.keys("mailservice:cache:*")]
    assert b'[{"a": 1}]' in values
    assert not any(value.startswith((b"!", b"\x80")) for value in values)


def test_rubbish_in_redis_is_made_anew(app, redis, made):
    remembered("a", made, topics=[Topic.POSTS])
    for key in redis.keys("mailservice:cache:*"):
        redis.set(key, b"!\x80\x04rubbish")
    assert remembered("a", made, topics=[Topic.POSTS]) == 2


def test_each_topic_is_forgotten_alone(app, made):
    remembered("a", made, topics=[Topic.POSTS])
    remembered("b", made, topics=[Topic.CLIENTS])
    caching.forget(Topic.POSTS)
    assert remembered("b", made, topics=[Topic.CLIENTS]) == 2
    assert remembered("a", made, topics=[Topic.POSTS]) == 3


def test_a_slow_reader_of_the_old_state_does_not_bring_it_back(app, made):
    def slow():
        caching.forget(Topic.POSTS)  # somebody publishes while this one reads
        return "old"

    remembered("a", slow, topics=[Topic.POSTS])
    assert remembered("a", made, topics=[Topic.POSTS]) == 1


def test_whatever_is_committed_is_forgotten_and_what_is_rolled_back_is_not(app, made):
    owner = factories.user()
    mailing, post = factories.mailing(owner), factories.blog_post()

    def seen(topic):
        return remembered(f"of {topic}", made, topics=[topic])

    acts = {
        Topic.POSTS: [
            lambda s: s.add(Post(title="t", slug="t", body="b")),
            lambda s: setattr(s.get(Post, post.id), "title", "another"),
            lambda s: s.execute(update(Post).values(views=3)),
            lambda s: s.delete(s.get(Post, post.id)),
        ],
        Topic.MAILINGS: [
            lambda s: setattr(s.get(Mailing, mailing.id), "paused_at", clock.now()),
            lambda s: s.execute(delete(Mailing).where(Mailing.id == mailing.id)),
        ],
        Topic.CLIENTS: [
            lambda s: s.add(Client(owner_id=owner.id, email="x@example.org", email_normalised="x@example.org"))
        ],
    }
    for topic, of_topic in acts.items():
        for act in of_topic:
            before = seen(topic)
            with suppress(ZeroDivisionError), transaction() as session:
                act(session)
                session.flush()
                1 // 0  # noqa: B018
            assert seen(topic) == before
            with transaction() as session:
                act(session)
            assert seen(topic) != before
            assert seen(topic) == seen(topic)


def test_a_deleted_user_takes_his_things_along(app, made):
    owner = factories.user()
    before = remembered("a", made, topics=[Topic.CLIENTS])
    with transaction() as session:
        session.delete(session.get(type(owner), owner.id))
    assert remembered("a", made, topics=[Topic.CLIENTS]) != before


def test_without_redis_things_are_some_seconds_old_at_most_and_changes_show_at_once(app, redis_at, tmp_path, made):
    redis_at(f"unix://{tmp_path}/nobody.sock")
    assert remembered("a", made, topics=[Topic.POSTS]) == 1
    assert remembered("a", made, topics=[Topic.POSTS]) == 1
    factories.blog_post()
    assert remembered("a", made, topics=[Topic.POSTS]) == 2


def test_what_redis_could_not_be_told_it_is_told_before_it_is_read_again(app, redis_at, tmp_path, made):
    with valkey_at(tmp_path / "redis.sock"):
        redis_at(f"unix://{tmp_path}/redis.sock")
        assert remembered("a", made, topics=[Topic.POSTS]) == 1
        app.extensions["caching"].silent_until = clock.steady() + 60
        factories.blog_post()
        app.extensions["caching"].silent_until = 0.0
        assert remembered("a", made, topics=[Topic.POSTS]) == 2


def test_a_hung_redis_costs_a_fraction_of_a_second_once(app, redis_at, hung_redis, browser):
    post = factories.blog_post()
    redis_at(hung_redis)
    begun = clock.steady()
    for path in ("/", "/blog", f"/blog/{post.slug}", "/blog/feed.xml", "/sitemap.xml", "/"):
        assert browser.get(path, headers={"User-Agent": "Mozilla/5.0 Firefox"}).status_code == 200
    assert clock.steady() - begun < caching.SILENCE
    assert app.extensions["caching"].silent_until > clock.steady()


@pytest.mark.parametrize("url", ["unix:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
def test_pages_stand_without_redis(app, redis_at, url, browser):
    post = factories.blog_post()
    redis_at(url)
    for path in ("/", "/blog", f"/blog/{post.slug}", "/blog/feed.xml", "/sitemap.xml", "/robots.txt"):
        assert browser.get(path, headers={"User-Agent": "Mozilla/5.0 Firefox"}).status_code == 200
    factories.sign_in(browser, factories.user(is_editor=True))
    assert factories.post(browser, f"/posts/{post.id}/hide").status_code == 302
    assert browser.get(f"/blog/{post.slug}").status_code == 404


def test_one_thread_makes_it_and_the_others_wait(app, made):
    begun, go = threading.Barrier(5), threading.Event()
    found = []

    def slow():
        go.wait(5)
        return made()

    def ask():
        with app.app_context():
            begun.wait(5)
            found.append(remembered("slow", slow, topics=[Topic.POSTS]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert found == [1, 1, 1, 1]


def test_a_post_appears_in_its_minute_though_the_list_is_kept(app, redis):
    factories.blog_post()
    factories.blog_post(published_at=clock.now() + timedelta(seconds=90))
    assert kept.count() == 1
    lives = [redis.ttl(key) for key in redis.keys("mailservice:cache:*:count")]
    assert len(lives) == 1
    assert 0 < lives[0] <= 90
