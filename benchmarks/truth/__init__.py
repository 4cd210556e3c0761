"""Figures that users see, each held against an independent computation: `python -m benchmarks.truth`.

A module for each area, with one function `rows() -> Iterable[Row]`; `areas.AREAS` lists them.
"""
