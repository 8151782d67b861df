"""The desk's lists of people: users, and (masked) the clients and the stop list."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_login import current_user
from sqlalchemy.orm import joinedload

from mailservice.errors import NotFound, Refused
from mailservice.models import Client, Role, Suppression, User
from mailservice.services import access, overview, users
from mailservice.web.manager import cells, words
from mailservice.web.manager.desk import ByAddress, Desk
from mailservice.web.manager.filters import Choice, Person, days
from mailservice.web.manager.forms import ReasonForm, RoleForm, UndoForm

STANDINGS = {
    "active": User.blocked_at.is_(None) & User.confirmed_at.is_not(None),
    "unconfirmed": User.blocked_at.is_(None) & User.confirmed_at.is_(None),
    "blocked": User.blocked_at.is_not(None),
}


class Users(Desk):
    of = User
    slug = "users"
    title = _l("Users")
    column_list = ("email", "full_name", "role", "standing", "created_at")
    column_details_list = ("email", "full_name", "role", "standing", "language", "time_zone", "created_at")
    column_labels = {
        "email": _l("E-mail"),
        "full_name": _l("Name"),
        "role": _l("Role"),
        "standing": _l("State"),
        "language": _l("Language"),
        "time_zone": _l("Time zone"),
        "created_at": _l("Registered"),
    }
    column_formatters = {
        "email": cells.link(lambda user: user.email, lambda user: ("users", user.id), look="name"),
        "full_name": cells.text(lambda user: user.full_name),
        "role": cells.text(words.role),
        "language": cells.text(lambda user: words.LANGUAGES.get(user.language, user.language)),
        "time_zone": cells.text(lambda user: user.time_zone),
        "standing": cells.state(words.standing, words.STANDINGS.get, words.STANDING_COLOURS.get),
        "created_at": cells.moment(lambda user: user.created_at),
    }
    column_sortable_list = ("email", "full_name", "role", "created_at")
    column_searchable_list = ("email", "full_name")
    search_hint = _l("Find by address or name")
    column_filters = (
        Choice("role", _l("Role"), lambda role: User.role == Role(role), words.ROLES),
        Choice("state", _l("State"), STANDINGS.__getitem__, words.STANDINGS),
        *days(User.created_at, _l("Registered from"), _l("Registered until")),
    )
    details_template = "manager/user.html"

    def beside(self, line: User) -> dict[str, Any]:
        return {
            "holdings": overview.holdings(line),
            "blocked_by": users.blocked_by(line),
            "events": overview.events_about(line),
            "may_block": access.may_block(current_user, line),
            "may_change_role": access.may_change_role(current_user),
        }

    @expose("/<int:row_id>/block", methods=("GET", "POST"))
    def block_view(self, row_id: int) -> Any:
        form, user = ReasonForm(), self._other(row_id)

        def do() -> str:
            users.block(users.by_id(row_id), reason=form.why, by=current_user, address=request.remote_addr)
            return _("%(email)s is blocked.", email=user.email)

        return self.act(
            form,
            do,
            heading=_("Block %(email)s", email=user.email),
            what=_(
                "This user is signed out everywhere and cannot sign in. What he is sending now stops within a second, "
                "and his mailings rest until he is let in again."
            ),
            help=_("Managers read it here."),
            button=_("Block"),
            danger=True,
            back=self.page_of(row_id),
        )

    @expose("/<int:row_id>/unblock", methods=("GET", "POST"))
    def unblock_view(self, row_id: int) -> Any:
        form, user = UndoForm(), self._other(row_id)

        def do() -> str:
            users.unblock(users.by_id(row_id), reason=form.why, by=current_user, address=request.remote_addr)
            return _("%(email)s may sign in again.", email=user.email)

        return self.act(
            form,
            do,
            heading=_("Let %(email)s in again", email=user.email),
            what=_(
                "This user may sign in again, and his mailings go on with their next times. "
                "What fell due meanwhile is not sent."
            ),
            help=_("Managers read it here."),
            button=_("Let in again"),
            back=self.page_of(row_id),
        )

    @expose("/<int:row_id>/role", methods=("GET", "POST"))
    def role_view(self, row_id: int) -> Any:
        """For administrators; managers have no such page."""
        if not access.may_change_role(current_user):
            raise NotFound(_("There is no such user."))
        user = users.by_id(row_id)
        form = RoleForm(role=user.role.value, is_editor=user.is_editor)

        def do() -> str:
            who: dict[str, Any] = {"by": current_user, "address": request.remote_addr}
            changed = users.set_role(users.by_id(row_id), role=Role(form.role.data), **who)
            users.make_editor(changed, is_editor=bool(form.is_editor.data), **who)
            return _("%(email)s is now: %(role)s.", email=changed.email, role=words.role(changed))

        return self.act(
            form,
            do,
            heading=_("The role of %(email)s", email=user.email),
            what=_(
                "Managers look at everybody's mailings, block users and disable mailings. "
                "Administrators also give roles and write the blog. Whoever gets another role signs in anew."
            ),
            button=_("Save"),
            back=self.page_of(row_id),
        )

    def _other(self, row_id: int) -> User:
        """Whom this manager may block; Refused for those above him and for himself."""
        user = users.by_id(row_id)
        if not access.may_block(current_user, user):
            raise Refused(_("You may not block this user or let him in."))
        return user


class Clients(ByAddress):
    of = Client
    slug = "clients"
    title = _l("Clients")
    about = _l("Of other people's clients you see that they are there, and nothing by which to write to them.")
    eager = (joinedload(Client.owner),)
    column_list = ("email", "owner", "created_at")
    column_details_list = ("email", "owner", "created_at", "updated_at")
    column_labels = {
        "email": _l("E-mail"),
        "owner": _l("Owner"),
        "created_at": _l("Added"),
        "updated_at": _l("Changed"),
    }
    column_formatters = {
        "email": cells.address(lambda client: client.email, "clients", lambda client: client.id),
        "owner": cells.person(lambda client: client.owner),
        "created_at": cells.moment(lambda client: client.created_at),
        "updated_at": cells.moment(lambda client: client.updated_at),
    }
    column_filters = (
        Person("owner", _l("Owner's address"), Client.owner_id.in_),
        *days(Client.created_at, _l("Added from"), _l("Added until")),
    )


class Suppressions(ByAddress):
    of = Suppression
    slug = "suppressions"
    title = _l("Stop list")
    about = _l("Addresses that an owner may no longer write to.")
    eager = (joinedload(Suppression.owner),)
    column_list = ("email", "owner", "reason", "created_at")
    column_details_list = column_list
    column_labels = {
        "email": _l("E-mail"),
        "owner": _l("Owner"),
        "reason": _l("Reason"),
        "created_at": _l("Since"),
    }
    column_formatters = {
        "email": cells.address(lambda row: row.email_normalised, "suppressions", lambda row: row.id),
        "owner": cells.person(lambda row: row.owner),
        "reason": cells.text(lambda row: words.SUPPRESSIONS[row.reason]),
        "created_at": cells.moment(lambda row: row.created_at),
    }
    column_filters = (
        Person("owner", _l("Owner's address"), Suppression.owner_id.in_),
        Choice("reason", _l("Reason"), lambda reason: Suppression.reason == reason, words.SUPPRESSIONS),
        *days(Suppression.created_at, lazy_pgettext("day", "From"), _l("Until")),
    )
