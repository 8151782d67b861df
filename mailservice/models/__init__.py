"""Rows. One file each; importing this package makes all of them known to the metadata."""

from mailservice.models.attempt import Attempt, AttemptStatus, Reason
from mailservice.models.batch import Batch
from mailservice.models.breaker import Breaker
from mailservice.models.client import Client
from mailservice.models.delivery import Delivery
from mailservice.models.event import Event
from mailservice.models.image import Image
from mailservice.models.mailing import Mailing, MailingStatus, Periodicity, mailing_clients
from mailservice.models.message import Message, MessageKind
from mailservice.models.post import OldSlug, Post
from mailservice.models.result import Result, State
from mailservice.models.session import UserSession
from mailservice.models.suppression import Suppression, SuppressionReason
from mailservice.models.throttle import Throttle
from mailservice.models.user import Role, User

__all__ = [
    "Attempt",
    "AttemptStatus",
    "Batch",
    "Breaker",
    "Client",
    "Delivery",
    "Event",
    "Image",
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
    "State",
    "Suppression",
    "SuppressionReason",
    "Throttle",
    "User",
    "UserSession",
    "mailing_clients",
]
