import pytest
from wtforms import StringField

from mailservice.errors import Invalid, NotFound, Refused
from mailservice.services import texts
from mailservice.web.forms import Form, checked, errors_beside


class Example(Form):
    class Meta:
        csrf = False

    title = StringField(validators=[checked(texts.one_line, field="title", longest=10)])


@pytest.fixture
def form(app):
    with app.test_request_context("/", method="POST", data={"title": "a\x07b"}):
        yield Example()


@pytest.mark.parametrize("error", [Invalid("not like this", field="title"), Refused("not like this", field="title")])
def test_what_a_service_refuses_stands_beside_its_field(form, error):
    with errors_beside(form):
        raise error
    assert form.errors == {"title": ["not like this"]}


@pytest.mark.parametrize("field", [None, "unheard_of"])
def test_what_belongs_beside_no_field_stands_above_the_form(form, field):
    with errors_beside(form):
        raise Invalid("not like this", field=field)
    assert form.form_errors == ["not like this"]
    assert form.errors


def test_what_is_not_there_is_no_matter_of_the_form(form):
    with pytest.raises(NotFound), errors_beside(form):
        raise NotFound("no such thing")


def test_a_services_check_is_a_validator(form):
    assert not form.validate()
    assert "title" in form.errors
    assert form.title.data == "a\x07b"
