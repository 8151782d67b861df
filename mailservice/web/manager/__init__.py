"""The managers' desk: Flask-Admin, closed by `desk.Desk` and dressed as the rest of the product."""

from flask import Flask
from flask_admin import Admin

from mailservice.web.manager.board import Board
from mailservice.web.manager.mail import Attempts, Deliveries, Mailings, Messages
from mailservice.web.manager.people import Clients, Suppressions, Users
from mailservice.web.manager.records import Events, Posts

VIEWS = (Users, Mailings, Attempts, Deliveries, Clients, Messages, Suppressions, Posts, Events)


def init_app(app: Flask) -> None:
    """A desk of this app's own: Flask-Admin's views belong to one app each."""
    admin = Admin(index_view=Board())
    for view in VIEWS:
        admin.add_view(view())
    admin.init_app(app)
