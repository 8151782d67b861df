"""Domain errors: what the product refuses and why, without a word of HTTP."""


class DomainError(Exception):
    """Base of all; `message` is a text for a person, already translated."""

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.message = message
        self.field = field  # the form field the message belongs beside, if any


class NotFound(DomainError):
    """No such row, or not this person's: the two are the same."""


class Refused(DomainError):
    """The rules do not allow this act now."""


class Invalid(DomainError):
    """The input is not acceptable; `field` names where."""
