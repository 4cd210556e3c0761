"""Functions of loops over arrays as machine code, kept beside the source where that can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled at its first call; it holds no lock of Python's meanwhile."""
    try:
        fast: Callable[..., Any] = numba.njit(
            function, cache=True, fastmath=True, nogil=True, error_model="numpy"
        )
    except RuntimeError:  # neither this folder nor the user's cache can be written
        fast = numba.njit(function, fastmath=True, nogil=True, error_model="numpy")
    return fast
