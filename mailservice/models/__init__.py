"""Rows. One file each; importing this package makes all of them known to the metadata."""

from mailservice.models.attempt import Attempt, AttemptStatus, Reason
from mailservice.models.batch import Batch
from mailservice.models.breaker import Breaker
from mailservice.models.client import Client, ClientSource
from mailservice.models.client_import import FileKind, Import, ImportRow, ImportStatus, RowState
from mailservice.models.consent import Consent, Turn
from mailservice.models.delivery import Delivery
from mailservice.models.event import Event
from mailservice.models.image import Image
from mailservice.models.mailing import Mailing, MailingStatus, Periodicity, mailing_clients
from mailservice.models.message import Message, MessageKind
from mailservice.models.post import OldSlug, Post
from mailservice.models.result import Result, State
from mailservice.models.saved_filter import SavedFilter, mailing_filters
from mailservice.models.session import UserSession
from mailservice.models.signup import SignUp, SignUpForm
from mailservice.models.suppression import LeavingReason, Suppression, SuppressionReason
from mailservice.models.tag import Tag, client_tags
from mailservice.models.throttle import Throttle
from mailservice.models.user import Role, User

__all__ = [
    "Attempt",
    "AttemptStatus",
    "Batch",
    "Breaker",
    "Client",
    "ClientSource",
    "Consent",
    "Delivery",
    "Event",
    "FileKind",
    "Image",
    "Import",
    "ImportRow",
    "ImportStatus",
    "LeavingReason",
    "Mailing",
    "MailingStatus",
    "Message",
    "MessageKind",
    "OldSlug",
    "Periodicity",
    "Post",
    "Reason",
    "Result",
    "Role",
    "RowState",
    "SavedFilter",
    "SignUp",
    "SignUpForm",
    "State",
    "Suppression",
    "SuppressionReason",
    "Tag",
    "Throttle",
    "Turn",
    "User",
    "UserSession",
    "client_tags",
    "mailing_clients",
    "mailing_filters",
]
