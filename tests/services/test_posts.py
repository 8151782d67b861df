from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound
from mailservice.models import OldSlug, Role
from mailservice.services import access, blog, posts
from tests import factories

WORDS = {"language": "ru", "body": "Текст.", "image_alt": "", "published_at": None}


@pytest.fixture
def editor(app):
    return factories.user(is_editor=True)


def create(editor, title, slug="", **values):
    with transaction():
        return posts.create(editor, title=title, slug=slug, **WORDS | values)


def change(post, **values):
    known = {name: getattr(post, name) for name in ("title", "slug", "language", "body", "image_alt", "published_at")}
    with transaction():
        posts.update(posts.by_id(post.id, lock=True), **known | values)


@pytest.mark.parametrize(
    ("values", "may"),
    [({}, False), ({"role": Role.MANAGER}, False), ({"role": Role.ADMIN}, True), ({"is_editor": True}, True)],
)
def test_administrators_and_those_with_the_right_may_edit(app, values, may):
    user = factories.user(**values)
    assert access.may_write_posts(user) is may
    blocked = factories.user(**values, blocked_at=clock.now())
    assert not access.may_write_posts(blocked)


def test_a_slug_comes_from_the_title_and_is_never_given_twice(editor):
    assert [create(editor, "Чистый список").slug for _ in range(3)] == [
        "chistyy-spisok",
        "chistyy-spisok-2",
        "chistyy-spisok-3",
    ]
    assert create(editor, "Другой", slug="Мой путь").slug == "moy-put"
    with pytest.raises(Invalid) as refusal:
        create(editor, "Третий", slug="moy put")
    assert refusal.value.field == "slug"


def test_a_slug_stays_when_the_title_changes(editor):
    post = create(editor, "Чистый список")
    change(post, title="Совсем другое")
    assert post.slug == "chistyy-spisok"
    change(post, slug="")
    assert post.slug == "chistyy-spisok"


def test_an_old_slug_leads_on_belongs_to_its_post_and_may_be_taken_back(editor):
    post = create(editor, "Первый", published_at=clock.now())
    change(post, slug="vtoroy")
    assert blog.moved_to("pervyy") == "vtoroy"
    assert create(editor, "Первый").slug == "pervyy-2"
    change(post, slug="pervyy")
    assert blog.moved_to("vtoroy") == "pervyy"
    assert db.session.scalars(select(OldSlug.slug)).all() == ["vtoroy"]
    with transaction():
        posts.delete(posts.by_id(post.id))
    assert db.session.scalars(select(OldSlug.slug)).all() == []


def test_an_old_slug_of_a_hidden_post_leads_nowhere(editor):
    post = create(editor, "Первый")
    change(post, slug="vtoroy")
    assert blog.moved_to("pervyy") is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"body": " \n"}, "body"),
        ({"body": "a\0b"}, "body"),
        ({"language": "xx"}, "language"),
        ({"image_alt": "x" * 201}, "image_alt"),
    ],
)
def test_what_is_not_acceptable_is_named_by_its_field(editor, values, field):
    with pytest.raises(Invalid) as refusal:
        create(editor, **{"title": "A title"} | values)
    assert refusal.value.field == field


def test_publishing_keeps_a_date_that_has_passed_and_hiding_makes_a_draft(editor):
    now = clock.now()
    early, late = (create(editor, "t", published_at=now + timedelta(days=d)) for d in (-3, 3))
    for post in (early, late):
        with transaction():
            posts.publish(posts.by_id(post.id, lock=True))
    assert early.published_at == now - timedelta(days=3)
    assert now <= late.published_at <= clock.now()
    with transaction():
        posts.hide(posts.by_id(early.id, lock=True))
    assert early.published_at is None
    assert blog.count() == 1


def test_drafts_and_the_future_are_nowhere_to_be_seen(editor):
    now = clock.now()
    seen = create(editor, "Seen", published_at=now)
    hidden = [create(editor, "Draft"), create(editor, "Future", published_at=now + timedelta(minutes=1))]
    cards = [*blog.page(1), *blog.choice("ru"), *(entry["card"] for entry in blog.feed())]
    assert {card["id"] for card in cards} == {seen.id}
    assert [slug for slug, _ in blog.addresses()] == [seen.slug]
    whole = blog.article(seen.slug)
    assert (whole["before"], whole["after"], whole["related"]) == (None, None, [])
    for post in hidden:
        with pytest.raises(NotFound):
            blog.article(post.slug)


def test_neighbours_follow_the_dates_even_where_two_are_the_same(editor):
    at = clock.now() - timedelta(days=1)
    first, second, third = (create(editor, f"Part {n}", published_at=at) for n in range(3))
    whole = blog.article(second.slug)
    assert (whole["before"]["id"], whole["after"]["id"]) == (first.id, third.id)
    assert [card["id"] for card in blog.page(1)] == [third.id, second.id, first.id]


def test_the_choice_prefers_the_readers_language_and_is_never_short_without_need(editor):
    now = clock.now()
    for n in range(4):
        create(editor, f"Русская {n}", published_at=now)
    english = create(editor, "English", language="en", published_at=now)
    assert {card["language"] for card in blog.choice("ru")} == {"ru"}
    assert len({card["id"] for card in blog.choice("ru")}) == blog.ON_HOME
    chosen = blog.choice("en")
    assert [card["language"] for card in chosen] == ["en", "ru", "ru"]
    assert chosen[0]["id"] == english.id
    assert len({tuple(card["id"] for card in blog.choice("ru")) for _ in range(60)}) > 1
