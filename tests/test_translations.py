"""Both languages are complete: the code, the catalogues and the compiled files say the same, and no page forgets."""

from __future__ import annotations

import ast
import functools
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import frontend
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from flask import render_template_string
from flask_babel import force_locale, gettext
from jinja2 import Environment
from werkzeug.datastructures import MultiDict
from wtforms import DateField, IntegerField, SelectField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from config import LANGUAGES, ROOT
from mailservice.models import Reason
from mailservice.web.forms import Form
from mailservice.web.reports import words
from mailservice.web.states import counted

FORMS = {"ru": 3, "en": 2}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|{{.*?}}")
FOLDERS = (ROOT / "mailservice/templates", ROOT / "mailservice/inbox/templates")
TEMPLATES = sorted(path for folder in FOLDERS for path in folder.rglob("*.*"))

Key = tuple[str | None, str]


def catalogue(language: str, suffix: str = "po") -> Path:
    return ROOT / f"mailservice/translations/{language}/LC_MESSAGES/messages.{suffix}"


@functools.cache
def read(language: str) -> Catalog:
    with catalogue(language).open("rb") as file:
        return read_po(file, locale=language)


def messages(of: Catalog) -> dict[Key, Message]:
    return {(m.context, m.id if isinstance(m.id, str) else m.id[0]): m for m in of if m.id}


def texts(value: str | tuple[str, ...] | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Message]:
    """What the code asks for today, found with the same settings as `make translations`."""
    path = tmp_path_factory.mktemp("texts") / "messages.pot"
    command = ["pybabel", "-q", "extract", "-F", str(ROOT / "pyproject.toml"), "-o", str(path), str(ROOT)]
    frontend.CommandLineInterface().run(command)
    with path.open("rb") as file:
        return messages(read_po(file))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_the_texts_of_the_code_and_no_others(language, extracted):
    assert len(extracted) > 400
    found = messages(read(language))
    assert {"missing": extracted.keys() - found, "obsolete": found.keys() - extracted} == {
        "missing": set(),
        "obsolete": set(),
    }, "run: make translations, then fill in mailservice/translations/*/LC_MESSAGES/messages.po"
    assert not read(language).obsolete
    assert [key for key in found if found[key].pluralizable != extracted[key].pluralizable] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_in_all_its_forms(language):
    poor = [
        message.id
        for message in messages(read(language)).values()
        if message.fuzzy
        or not all(text.strip() for text in texts(message.string))
        or len(texts(message.string)) != (FORMS[language] if message.pluralizable else 1)
    ]
    assert poor == []
    assert read(language).num_plurals == FORMS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_text(language):
    for message in messages(read(language)).values():
        wanted = set(PLACEHOLDER.findall(texts(message.id)[-1]))
        for text in texts(message.string):
            assert set(PLACEHOLDER.findall(text)) == wanted, (message.id, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_edges_of_a_text_are_kept(language):
    for message in messages(read(language)).values():
        wanted = texts(message.id)[-1]
        for text in texts(message.string):
            assert text == text.strip()
            assert (text[-1] in ".…") == (wanted[-1] in ".…"), (wanted, text)
            assert (text[-1] == ":") == (wanted[-1] == ":"), (wanted, text)


def test_english_is_what_the_code_says():
    assert [m.id for m in messages(read("en")).values() if texts(m.string) != texts(m.id)] == []


def test_russian_has_its_own_quotation_marks():
    assert [m.id for m in messages(read("ru")).values() for s in texts(m.string) if re.search('[“”"]', s)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_read_what_the_catalogue_says(language):
    """The compiled files are committed: a plain checkout speaks both languages."""
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    with catalogue(language, "mo").open("rb") as file:
        found, wanted = messages(read_mo(file)), messages(read_mo(io.BytesIO(compiled.getvalue())))
    assert {k: texts(m.string) for k, m in found.items()} == {k: texts(m.string) for k, m in wanted.items()}


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1 письмо"), (2, "2 письма"), (5, "5 писем"), (11, "11 писем"), (21, "21 письмо")]
)
def test_russian_counts_in_three_forms(app, number, text):
    with app.test_request_context(), force_locale("ru"):
        template = '{{ ngettext("%(num)s letter", "%(num)s letters", number) }}'
        assert render_template_string(template, number=number) == text


def test_words_agree_with_their_numbers(app):
    with app.test_request_context(), force_locale("ru"):
        assert [counted("waiting", n) for n in (1, 2, 5)] == ["ждёт", "ждут", "ждут"]
        assert [counted("running", n) for n in (1, 2, 5)] == ["запущена", "запущены", "запущено"]
        assert counted("sent", 7) == "отправлено"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_in_russian(app, reason):
    with app.test_request_context(), force_locale("ru"):
        assert re.search("[а-яё]", words.reason(reason))


class Odd(Form):
    """One of each check whose words WTForms brings along."""

    text = StringField(validators=[DataRequired(), Length(max=3)])
    date = DateField(validators=[InputRequired()])
    empty = DateField(validators=[InputRequired()])
    choice = SelectField(choices=["a"])
    number = IntegerField()


def test_the_words_of_wtforms_are_russian_too(app):
    data = MultiDict({"text": "long", "date": "x", "choice": "b", "number": "x"})
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        form = Odd(data, meta={"csrf": False})
        assert not form.validate()
        found = {name: errors[0] for name, errors in form.errors.items()}
    assert found.keys() == {"text", "date", "empty", "choice", "number"}
    assert [text for text in found.values() if not re.search("[а-яё]", text)] == []


def test_a_visitor_without_a_language_is_spoken_to_in_that_of_the_service(app):
    with app.test_request_context(), force_locale("ru"):
        assert gettext("There is no such page") == "Такой страницы нет"


# What a template may say without marking.
AS_IT_IS = {
    "HTML",
    "Рус",  # names of the languages in themselves
    "Eng",
    *("wide", "form-select form-select-sm", "form-control form-control-sm"),  # classes
    "SelectMultipleRadio",  # names of form fields
    "RadioField",
    "Select",
    *("Blog", "BlogPosting", "Organization", "Person", "WebSite", "Any"),  # types of schema.org
    *("250 2.0.0 Ok: queued as 4XkQ", "451 4.7.1 Greylisted, come back later", "550 5.1.1 User unknown"),  # replies
    *("w", "image/jpeg,image/png,image/webp", "posts/", "/blog/"),  # of pictures' widths; kinds of files; addresses
    *(".csv,.tsv,.txt,.xlsx,text/csv,text/plain", "Ctrl+S"),  # kinds of files; a key
}
# Attributes that people read or hear.
SPOKEN = {"title", "aria-label", "alt", "placeholder", "label", "data-label", "data-confirm"}
WITHOUT_TEXT = {"style", "script"}
NOT_WORDS = re.compile(r"^\(max-width|^https?:")  # conditions on the page's width, addresses
# Strings in Jinja's tags are mostly names and keys; these look like texts for people.
SENTENCE = re.compile(r"^[A-Z][a-z]+\b|[А-Яа-яЁё]{2}|[a-z]+[ ,:].*[a-z]")
NO_TEXT = {"class", "rel"}  # arguments
MARKED = {"_", "gettext", "ngettext", "pgettext", "npgettext"}


class Reader(HTMLParser):
    """Collects the letters that a template shows outside of Jinja's tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in WITHOUT_TEXT:
            self._inside.append(tag)
        for name, value in attrs:
            if name in SPOKEN:
                self._look(value or "")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self._look(data)

    def _look(self, text: str) -> None:
        text = " ".join(text.split())
        if any(c.isalpha() for c in text) and text not in AS_IT_IS:
            self.found.append(text)


def looks_spoken(text: str) -> bool:
    return bool(SENTENCE.search(text)) and not NOT_WORDS.search(text)


def unmarked(source: str) -> list[str]:
    """Texts for people in a template that are not in `_(…)` or one of its kin."""
    reader = Reader()
    said = []
    called: list[str] = []  # what stands before each open bracket
    name = ""
    for _line, kind, value in Environment().lex(source):
        if kind == "data":
            reader.feed(value)
        elif kind == "name":
            name = value
        elif kind == "string":
            if not MARKED.intersection(called) and name not in NO_TEXT and looks_spoken(value[1:-1]):
                said.append(value[1:-1])
            name = ""
        elif kind == "operator" and value in ("(", "[", "{"):
            called.append(name)
            name = ""
        elif kind == "operator" and value in (")", "]", "}"):
            called.pop()
        elif kind != "whitespace" and value != "=":
            name = ""
    reader.close()
    return reader.found + [text for text in said if text not in AS_IT_IS]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_template_says_nothing_that_is_not_marked(path):
    assert unmarked(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<a title="Go on">→</a>',
        '<input placeholder="Find" value="{{ _(\'x\') }}">',
        '{{ button("Send it again", url_for("x")) }}',
        "{% set word = 'Привет' %}",
    ],
)
def test_the_scan_finds_what_is_forgotten(source):
    assert len(unmarked(source)) == 1


def test_the_scan_lets_pass_what_is_marked():
    assert unmarked('<a href="x" class="btn" title="{{ _("Go on") }}">{{ _("Go %(x)s on", x=f("a", "b")) }}</a>') == []


# Whose first argument a person reads.
TELLING = {"flash", "Invalid", "Refused", "NotFound", "ValidationError", "StopValidation"}


@pytest.mark.parametrize("path", sorted((ROOT / "mailservice").rglob("*.py")), ids=lambda path: path.stem)
def test_no_message_to_a_person_is_a_bare_string(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and node.args]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in TELLING]
    bare = [call.lineno for call in named if isinstance(call.args[0], ast.JoinedStr | ast.Constant)]
    assert bare == []


def test_who_is_sent_to_sign_in_is_told_why_in_his_language(app):
    browser = app.test_client()
    page = browser.get("/clients", headers={"Accept-Language": "ru"}, follow_redirects=True)
    assert "Войдите, чтобы открыть эту страницу." in page.text
