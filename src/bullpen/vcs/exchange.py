"""The exchange: a repository that workers with homes of their own hand commits over by."""

import hashlib


def exchange_identity(url: str) -> str:
    """A short name for an exchange: those who name the same URL can do the same work."""
    return f"x-{hashlib.sha256(url.rstrip('/').encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
