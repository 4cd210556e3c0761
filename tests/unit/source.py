"""Syntax trees of the project's own files, each read once for all tests that look at them."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def tree(path: Path) -> ast.Module:
    """The file's tree: for looking at, not for changing.

    Trees stay for the whole run. Looking for garbage among them took twice as long as making them.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.freeze()
        gc.enable()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of it, as `ast.walk` gives them."""
    return tuple(ast.walk(tree(path)))
