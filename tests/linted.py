"""CloudFormation held against AWS's schemas."""

from __future__ import annotations


def lint(template: str, *, regions: list[str]) -> list[object]:
    """What cfn-lint objects to. Imported here: every worker collects all tests, and it brings SymPy along (2 s)."""
    from cfnlint.api import lint

    return list(lint(template, regions=regions))
