"""A filter for the Tune pages: widgets → a condition, in little space. All of it is in the link."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import labels, line, markdown, numbers_apart
from memdb.errors import BadFilter, BadInput, MemDBError, SilentShard, UnsupportedFeature
from memdb.ui.kit import cached
from memdb.vectors.filters import And, Condition, Range, Raw, Tag
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.nothing import nothing
from memdb.vectors.search import TagValues

_LONGEST = 1_000  # characters of a value that are shown, and so linked
_COUNTED = 12  # values whose documents the help tells


def filter_form(target: Target, info: IndexInfo, page: str) -> tuple[Condition, int | None]:
    """Draw the filter; returns the condition and how many documents it lets through, None if not told.

    Args:
        target: the server.
        info: the index.
        page: start of the widgets' keys.

    Raises:
        BadFilter: the expression does not parse.
    """
    fields = (*info.of_kind("TAG"), *info.of_kind("NUMERIC"))
    conditions: list[Condition] = []
    wrong: MemDBError | None = None
    # A label that changes would close it after each choice.
    with st.expander("Filter", icon=":material/filter_alt:"):
        for field in fields:
            try:
                chosen = _field(target, info, field, f"{page}.f.{field.name}")
            except UnsupportedFeature as exc:
                st.caption(f":material/info: {markdown(field.name)}: {markdown(str(exc))}")
                continue
            except MemDBError as exc:
                wrong = exc
                continue
            if chosen is not None:
                conditions.append(chosen)
        raw = st.text_input(
            "Expression",
            key=f"{page}.raw",
            bind="query-params",
            placeholder="@service:{s3} @year:[2015 +inf]",
            help="In the engine's own words; added to the conditions above.",
        )
    if wrong is not None:
        raise wrong
    if raw.strip():
        conditions.append(Raw(raw))
    condition = And(tuple(conditions))
    matching, words = counted(target, info, condition)
    st.caption(words)
    return condition, matching


def none_match(info: IndexInfo) -> BadInput:
    """The error where a filter leaves no document: of an empty index, that it is empty."""
    if info.told_documents == 0:
        return nothing(info)
    return BadInput("No document matches the filter.", "Remove a condition, or widen a range.")


def counted(target: Target, info: IndexInfo, condition: Condition) -> tuple[int | None, str]:
    """How many documents a filter lets through, and the same in words; None where the engine cannot count.

    Raises:
        BadFilter: the expression does not parse.
    """
    try:
        matching = cached.count(target, info, condition)
    except (UnsupportedFeature, SilentShard) as exc:
        return None, f":material/filter_alt: {markdown(str(exc))}"
    share = f" ({matching / info.documents:.1%})" if info.documents and matching < info.documents else ""
    return matching, f":material/filter_alt: **{matching:,}** of {info.documents:,} documents match{share}"


def _field(target: Target, info: IndexInfo, field: Field, key: str) -> Condition | None:
    try:
        if field.kind == "TAG":
            chosen = tag_choice(cached.tag_values(target, info.name, field.name), field, key)
            return Tag(field.name, chosen) if chosen else None
        bounds = cached.numeric_bounds(target, info.name, field.name)
    except (BadFilter, SilentShard) as exc:  # the first: a name that no query can say
        st.caption(f":material/info: {markdown(str(exc))}")
        return None
    if bounds is None or bounds[0] == bounds[1]:
        return None
    ends = " to ".join(numbers_apart(bounds)[bound] for bound in bounds)
    text = st.text_input(
        markdown(field.name, 60) or "(no name)",
        key=key,
        bind="query-params",
        placeholder=line(ends),
        help="A number, or two with “to” between them; one side may stay empty.",
    )
    return numbers(field.name, text)


def tag_choice(values: TagValues, field: Field, key: str) -> tuple[str, ...]:
    """Choose among the values of a TAG field; others may be typed. The help counts the most frequent.

    What a box shows is what a link holds, so a value stands there without its count: counts change, and a
    typed value would be like no label. Enter takes what lies under the pointer, else the best match; an equal
    value is the best.
    """
    counts = {value.value: value.documents for value in values}
    options = [*counts, *values.uncounted]
    label = labels({value: value_label(value) for value in options}, _LONGEST)
    chosen = st.multiselect(
        markdown(field.name, 60) or "(no name)",
        options,
        key=key,
        bind="query-params",
        accept_new_options=True,
        select_all=False,  # else Enter would take all that is like what was typed
        format_func=label,
        placeholder=f"any of {len(options):,}{'' if values.complete else ' or more'}" if options else "any",
        help=_counted(counts, label, values),
    )
    return tuple(chosen)


def value_label(value: str) -> str:
    """A value as a box shows it and a link holds it."""
    return line(value, _LONGEST) or ("(blanks)" if value else "(empty)")


def _counted(counts: dict[str, int], label: Callable[[str], str], values: TagValues) -> str | None:
    most = sorted(counts, key=lambda value: -counts[value])[:_COUNTED]
    words = "" if values.complete else "Not all values are listed; type one that is missing. "
    if most:
        counts_words = " · ".join(f"{markdown(label(value), 40)} {counts[value]:,}" for value in most)
        words += f"Documents: {counts_words}{' …' if len(counts) > len(most) or values.uncounted else ''}"
    return words or None


def numbers(field: str, text: str) -> Range | None:
    """ "2015 to 2020", "2015 to", "to 2020" or "2015" as a range; None for an empty text.

    Raises:
        BadFilter: it is none of these.
    """
    if not text.strip():
        return None
    first, between, second = text.partition("to")
    try:
        low = float(first) if first.strip() else None
        high = float(second) if second.strip() else None
    except ValueError:
        low = high = None
    if low is None and high is None:
        raise BadFilter(
            f"'{line(text)}' is no range of '{line(field)}'.", "Write it like 2015 to 2020, 2015 to, or 2015."
        )
    return Range(field, low, high if between else low)
