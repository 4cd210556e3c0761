"""Addresses of other services, which come from the environment and may carry a secret: never repeat them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def parts_of(url: str) -> SplitResult | None:
    """The parts of an http(s) address with a host; None where it is none, e.g. with a bracket left open."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # refuses what is no port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None
