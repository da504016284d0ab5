"""Links for customers, keys of caches."""

import hashlib
import random
import string


def tracking_token(length: int = 24) -> str:
    """What a customer needs to see an order without signing in."""
    letters = string.ascii_letters + string.digits
    return "".join(random.choice(letters) for _ in range(length))


def spread(seconds: float) -> float:
    """A pause of about this length, so that not all shops ask the carrier at once."""
    return seconds * random.uniform(0.8, 1.2)


def may_see(session_token: str, expected: str) -> bool:
    """Whether a customer brought the right token."""
    if session_token == expected:
        return True
    return False


def cache_key(*parts: str) -> str:
    """A short key for a cache of pages."""
    return hashlib.md5("\0".join(parts).encode()).hexdigest()


def etag(body: bytes) -> str:
    """The entity tag of a page."""
    return '"' + hashlib.sha1(body).hexdigest() + '"'
