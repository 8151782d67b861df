"""The base of every page of the managers' desk: what Flask-Admin leaves open is closed here, once.

Its defaults let in anybody, show every column, write past our rules, and pass what stands in an address on to
links and queries. Here a page is for managers, read only, and shows the columns that its view names. What is not
needed has no address at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import BaseForm
from flask_admin.model.base import ViewArgs
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import false

from mailservice.database import Model, db, transaction
from mailservice.errors import Invalid, NotFound
from mailservice.queues import Job, enqueue
from mailservice.services import access, addresses, audit, ids, masking, pages, texts
from mailservice.services.audit import Action
from mailservice.web import forms, paging
from mailservice.web.manager import sheets, words
from mailservice.web.manager.filters import Filter

NEVER_SHOWN = frozenset({"password_hash", "session_key", "key", "user_key", "token"})


class Closed(BaseView):
    """For managers and administrators. For everybody else there is no such page."""

    def is_accessible(self) -> bool:
        return current_user.is_authenticated and access.is_staff(current_user)

    def inaccessible_callback(self, name: str, **_kwargs: Any) -> Any:
        raise NotFound(name)

    def render(self, template: str, **context: Any) -> str:
        return super().render(template, mask=masking.text, desk_words=words, **context)

    def act(
        self,
        form: forms.Form,
        do: Callable[[], str],
        *,
        back: str,
        then: Callable[[], object] = lambda: None,
        **page: Any,
    ) -> Any:
        """The page of an act, and the act: `do` does it in one transaction and returns what to say of it then.

        `then` follows when it is committed. `page` is its `heading`, `what` it does, and its `button`.
        """
        if form.validate_on_submit():
            with forms.errors_beside(form), transaction():
                done = do()
            if not form.errors:
                then()
                enqueue(Job.TICK)
                flash(done)
                return redirect(back)
        return self.render("manager/act.html", form=form, back=back, **page), 422 if form.errors else 200


class Desk(Closed, ModelView):
    """A list with its search, filters, order and export, and a page for each row."""

    of: ClassVar[type[Model]]  # whose rows they are
    slug: ClassVar[str]  # the list in addresses and events
    title: ClassVar[Any]
    about: ClassVar[Any] = ""  # a sentence under the heading
    eager: ClassVar[tuple[Any, ...]] = ()  # loader options, so that a list asks a fixed number of questions
    search_hint: ClassVar[Any] = ""

    can_create = can_edit = can_delete = False
    can_view_details = can_export = can_set_page_size = True
    simple_list_pager = True  # Flask-Admin's own count would count every row
    create_view = edit_view = delete_view = action_view = export = ajax_lookup = ajax_update = action_delete = None
    form = BaseForm  # no form is made from the columns
    page_size = paging.DEFAULT_SIZE
    page_size_options = paging.SIZES
    counted = 10_000  # rows that are counted and shown: whoever seeks more asks a closer question
    column_default_sort = ("id", True)
    column_auto_select_related = False
    column_type_formatters: ClassVar = {type(None): lambda *_: "–"}
    column_type_formatters_export: ClassVar = {type(None): lambda *_: ""}
    column_type_formatters_detail = column_type_formatters
    list_template = "manager/list.html"
    details_template = "manager/details.html"

    def __init__(self) -> None:
        named = {*self.column_list, *self.column_details_list, *(self.column_export_list or ())}
        if secrets := named & NEVER_SHOWN:
            raise RuntimeError(f"{self.slug} would show {', '.join(sorted(secrets))}")
        super().__init__(self.of, db, name=self.title, endpoint=f"manager_{self.slug}", url=self.slug)

    # What the address asks for: whatever stands there, never an error

    def _get_list_extra_args(self) -> ViewArgs:
        asked = paging.asked()
        return ViewArgs(
            page=min(asked["number"], self.counted // asked["size"]) - 1,
            page_size=asked["size"],
            sort=request.args.get("sort", type=int),
            sort_desc=request.args.get("desc", type=int),
            search=texts.search_words(request.args.get("q")),
            filters=self._get_list_filter_args(),
        )

    def _get_list_filter_args(self) -> list[tuple[int, str, str]]:
        """(position, name, value) of the filters in the address; one that makes no sense is left out, and said so."""
        asked = []
        for position, choice in enumerate(self._filters or []):
            value = texts.search_words(request.args.get(choice.arg))
            if value and choice.validate(value):
                asked.append((position, choice.arg, value))
            elif value:
                flash(_("“%(value)s” does not fit “%(name)s”.", name=choice.name, value=value), "warning")
        return asked

    def _get_list_url(self, view_args: ViewArgs) -> str:
        size = view_args.page_size if view_args.page_size != self.page_size else None
        order_now = (request.args.get("sort", type=int), bool(request.args.get("desc", type=int)))
        page = view_args.page if (view_args.sort, view_args.sort_desc) == order_now else None
        return self.get_url(
            ".index_view",
            page=page + 1 if page else None,
            size=size,
            sort=view_args.sort,
            desc=1 if view_args.sort_desc else None,
            q=view_args.search or None,
            **self._get_filters(view_args.filters),
        )

    def _get_filters(self, filters: Sequence[tuple[int, str, str]] | None) -> dict[str, str]:
        return {arg: value for _position, arg, value in filters or []}

    def get_filter_arg(self, index: int, flt: Filter) -> str:
        return flt.arg

    # The rows: first their numbers, in order and no more than needed, then what belongs to these few

    def get_list(self, page, sort_column, sort_desc, search, filters, execute=True, page_size=None):
        """Asked once for count and page, and no further than just above `counted`: no list counts a million rows."""
        numbers = self._numbers(sort_column, sort_desc, search, filters, most=self.counted + 1)
        size = page_size or self.page_size
        first = (page or 0) * size
        return len(numbers), self.rows(numbers[first : first + size])

    def _numbers(self, sort_column, sort_desc, search, filters, *, most: int) -> list[int]:
        """The first numbers of the rows that are asked for."""
        return [row[0] for row in self._question(sort_column, sort_desc, search, filters).limit(most)]

    def _question(self, sort_column, sort_desc, search, filters):
        """The question for the rows' numbers."""
        sortable = sort_column if sort_column in self._sortable_columns else None
        _count, query = super().get_list(None, sortable, sort_desc, search, filters, execute=False, page_size=0)
        return query.with_entities(self.number)

    def rows(self, numbers: Sequence[int]) -> Sequence[Any]:
        """The lines of these rows, in this order."""
        found = {row.id: row for row in self.get_query().options(*self.eager).filter(self.number.in_(numbers))}
        return self.lines([found[number] for number in numbers if number in found])

    def get_one(self, id: Any) -> Any:
        """The line of this row, or NotFound."""
        lines = self.rows([id]) if ids.possible(id) else ()
        if not lines:
            raise NotFound(str(id))
        return lines[0]

    @property
    def number(self) -> Any:
        return self.of.__table__.c.id

    def name_of(self, line: Any) -> str:
        """What the page of a row is called."""
        return str(self.get_export_value(line, self.column_list[0]))

    def lines(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows as the columns' formatters take them: with what belongs to them but stands in other tables."""
        return rows

    def _apply_search(self, query, count_query, joins, count_joins, search):
        condition = self.sought(search)
        if condition is None:
            columns = []
            for field, path in self._search_fields:
                query, joins, alias = self._apply_path_joins(query, joins, path, inner_join=False)
                columns.append(field if alias is None else getattr(alias, field.key))
            condition = pages.matches(search, *columns)
        return query.filter(condition), count_query, joins, count_joins

    def sought(self, search: str) -> Any:
        """The question for rows that fit these words; None: those that hold them in a column of the search."""
        return None

    def _apply_sorting(self, query, joins, sort_column, sort_desc):
        """Rows that are equal keep their places, in the direction of an index."""
        query, joins = super()._apply_sorting(query, joins, sort_column, sort_desc)
        is_rising = sort_column is not None and not sort_desc
        return query.order_by(self.number if is_rising else self.number.desc()), joins

    # The pages

    @expose("/<int:row_id>")
    def details_view(self, row_id: int) -> Any:
        line = self.get_one(row_id)
        columns, value = self._details_columns, self.get_detail_value
        return self.render(
            self.details_template, line=line, details_columns=columns, get_value=value, **self.beside(line)
        )

    def page_of(self, row_id: int) -> str:
        return self.get_url(".details_view", row_id=row_id)

    def beside(self, line: Any) -> dict[str, Any]:
        """What the page of a row shows beside its columns."""
        return {}

    @expose("/export", methods=("POST",))
    def export_view(self) -> ResponseReturnValue:
        """All rows that the filters let through, whole or not at all: it is read to the end before it is sent."""
        asked = self._get_list_extra_args()
        numbers = self._numbers(None, False, asked.search, asked.filters, most=sheets.MOST + 1)
        if len(numbers) > sheets.MOST:
            flash(_("More than %(number)s rows: choose fewer with the filters.", number=sheets.MOST), "error")
            return redirect(self._get_list_url(asked))
        file = sheets.written(self, numbers)
        with transaction():
            detail: dict[str, Any] = {"list": self.slug, "rows": file.rows}
            audit.note(current_user, Action.EXPORTED, address=request.remote_addr, **detail)
        return file.response()


class ByAddress(Desk):
    """A list of masked addresses: whole ones alone are found, since parts would give them away letter by letter."""

    column_searchable_list = ("email_normalised",)
    column_sortable_list = ()  # their order would tell of them, too
    search_hint = _l("A whole address")

    def sought(self, search: str) -> Any:
        try:
            return self.has_address(addresses.parse(search).normalised)
        except Invalid:
            return false()

    def has_address(self, email: str) -> Any:
        return self.of.__table__.c.email_normalised == email
