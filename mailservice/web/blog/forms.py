"""The form of a post."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import BooleanField, DateField, HiddenField, RadioField, SelectField, StringField, TextAreaField, TimeField
from wtforms.validators import DataRequired, Optional

from mailservice import clock
from mailservice.errors import Refused
from mailservice.models import Post, User
from mailservice.services import posts, texts
from mailservice.web.forms import LANGUAGES, Form, changed_since, checked, options

REQUIRED = DataRequired(_l("This cannot be empty."))
TIMES = ["%H:%M", "%H:%M:%S"]
DRAFT, NOW, AT = "draft", "now", "at"


class PostForm(Form):
    title = StringField(_l("Title"), validators=[REQUIRED, checked(texts.one_line, field="title", longest=200)])
    slug = StringField(_l("Link"), validators=[checked(texts.one_line, field="slug", longest=200), Optional()])
    language = SelectField(_l("Language"), choices=LANGUAGES)
    body = TextAreaField(
        _l("Text"),
        validators=[REQUIRED, checked(texts.many_lines, field="body", longest=posts.LONGEST_BODY)],
    )
    image = FileField(_l("Picture"), validators=[Optional()])
    image_alt = StringField(
        _l("What the picture shows"),
        validators=[checked(texts.one_line, field="image_alt", longest=posts.LONGEST_ALT), Optional()],
    )
    remove_image = BooleanField(_l("Remove the picture"))
    visible = RadioField(_l("Who sees it"))
    date = DateField(_l("Date"), validators=[Optional()])
    time = TimeField(_l("Time"), format=TIMES, validators=[Optional()])
    changed_at = HiddenField()  # of the post, when the form was made

    def validate(self, extra_validators: Any = None) -> bool:
        """A time to come needs its date; one that is not asked for may be left empty."""
        is_valid = super().validate(extra_validators)
        if self.visible.data == AT and not self.date.data and not self.date.errors:
            self.date.errors = [_("Enter a date.")]
            return False
        return bool(is_valid)

    def start(self, editor: User, post: Post | None) -> None:
        """The choices; and, when the form was not sent yet, what stands in it."""
        words = [_("Nobody: it is a draft"), _("Everybody, from now on"), _("Everybody, from this time on")]
        self.visible.choices = options(zip((DRAFT, NOW, AT), words, strict=True))
        if self.is_submitted():
            return
        self.changed_at.data = post.updated_at.isoformat() if post else ""
        self.language.data = post.language if post else editor.language
        self.visible.data = DRAFT
        if post and post.published_at:
            local = _local(post.published_at, editor)
            self.visible.data, self.date.data, self.time.data = AT, local.date(), local.time()

    def check_unchanged(self, post: Post) -> None:
        """Refused when the post is not the one that the form shows: what it would undo may be another's work."""
        if changed_since(self.changed_at, post.updated_at.isoformat()):
            raise Refused(
                _(
                    "This post has been changed meanwhile, in another window or by somebody else. To put what stands "
                    "here in its place, save again."
                )
            )

    def published_at(self, editor: User, post: Post | None) -> datetime | None:
        """What was chosen; a date that was not touched keeps its seconds."""
        if self.visible.data == DRAFT:
            return None
        if self.visible.data == NOW or not self.date.data:
            return clock.now()
        chosen = datetime.combine(self.date.data, self.time.data or time())
        before = post.published_at if post else None
        if before and _local(before, editor).replace(second=0, microsecond=0) == chosen.replace(second=0):
            return before
        return _moment(chosen, editor)


def _local(moment: datetime, editor: User) -> datetime:
    return moment.astimezone(ZoneInfo(editor.time_zone)).replace(tzinfo=None)


def _moment(local: datetime, editor: User) -> datetime:
    try:
        return clock.to_utc(local, editor.time_zone)
    except OverflowError:  # the first or the last day that there is
        return clock.now()
