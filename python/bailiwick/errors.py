"""What can go wrong: one tree, and every message says what to do next.

No message holds a token or a part of one.
"""


class BailiwickError(Exception):
    """Anything that goes wrong here; catch it to catch them all."""


class InvalidToken(BailiwickError):
    """A token that nobody vouches for: malformed, of another issuer, or not meant for us."""


class TokenExpired(BailiwickError):
    """A token that was good once."""


class Denied(BailiwickError):
    """The caller is known and may not do this."""


class Unavailable(BailiwickError):
    """A provider, a server or a database that cannot be reached; trying again may help."""


class InvalidFilter(BailiwickError):
    """A filter that cannot be understood. It never stands for "everything"."""


class InvalidQuery(BailiwickError):
    """A question that cannot be compared with what is stored, such as a vector of other length."""


class RefusedDocument(BailiwickError):
    """A document that cannot be labelled or stored; nothing of its batch is."""
