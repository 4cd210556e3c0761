"""The Compare page's right side: cost by service, the article's table, break-even lines, the advisor."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import Markdown, line, markdown
from memdb.errors import MemDBError
from memdb.sizing import advisor, comparison
from memdb.sizing.catalogue import PriceGrade
from memdb.sizing.forecast import BreakEven
from memdb.sizing.plan import SizingPlan
from memdb.sizing.services import Bill
from memdb.ui import frame
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.plan import figures, form
from memdb.ui.plan import state as plan_state
from memdb.ui.plan.columns import USD
from memdb.ui.plan.form import PlanChoice

VIEWS = ("Cost", "Table", "Break-even", "Advisor")
# What a grade says of a price, e.g. "an estimate".
_GRADE_WORDS: dict[PriceGrade, str] = {
    "price list": "from AWS's price list",
    "quoted": "from AWS's pages",
    "third party": "by a third party's reading of AWS's prices",
    "yours": "by your own prices",
    "estimate": "an estimate",
}
GRADES: Markdown = (
    "Where a price comes from. Price list, quoted: AWS's own. Third party: somebody's reading of AWS's "
    "prices. Estimate: derived from such prices. Yours: entered on the Sizing page."
)
_LATENCY = "compare.latency"  # number of the last measurement, 0 before the first


def right_side(target: Target, choice: PlanChoice | MemDBError) -> None:
    """The comparison in its views. The advisor needs no numbers and always answers."""
    form.last_reading()
    sizing: SizingPlan | None = None
    bills: tuple[Bill, ...] = ()
    try:
        if isinstance(choice, MemDBError):
            raise choice
        sizing = plan_state.sizing_plan(choice.inputs, choice.profile)
        bills = plan_state.all_bills(sizing)
    except MemDBError as exc:
        parts.show_error(exc)
        st.caption("Nothing was calculated; what you typed is still there.")
    view = parts.view_choice(VIEWS, key="compare.view")
    with parts.errors_shown(target):
        if view == "Advisor":
            advisor_view()
        elif sizing is None:
            st.caption("Correct the inputs on the left.")
        elif view == "Table":
            table_view(target, sizing, bills)
        elif view == "Break-even":
            break_even_view(sizing)
        else:
            cost_view(sizing, bills)


def cost_view(sizing: SizingPlan, bills: tuple[Bill, ...]) -> None:
    """Each service's month, line by line, and why one cannot."""
    priced = [bill for bill in bills if bill.monthly_usd is not None]
    if priced:
        items = list(dict.fromkeys(priced.item for bill in priced for priced in bill.lines))
        values = np.array(
            [[sum(o.usd for o in bill.lines if o.item == item) for item in items] for bill in priced]
        )
        cheapest = min(priced, key=_usd)
        known_words, least = (", of what is known,", "at least ") if cheapest.unknown else ("", "")
        st.markdown(
            f"For these inputs **{markdown(cheapest.title)}** costs least{known_words}: "
            f"**{least}${_usd(cheapest):,.0f}** a month, {_GRADE_WORDS[cheapest.grade]}."
        )
        _could_be_off(priced, cheapest)
        _what_it_buys(priced, cheapest)
        st.plotly_chart(
            figures.bills(
                [bill.title for bill in priced],
                items,
                values,
                [bool(bill.unknown) for bill in priced],
                dark=state.dark(),
            ),
            key="compare.bills",
            config=charts.PLAIN,
            alt="Monthly cost of each service by item",
        )
    rows: list[dict[str, object]] = [
        {
            "service": bill.title,
            "item": priced.item,
            "a month $": priced.usd,
            "grade": priced.grade,
            "how": priced.how,
        }
        for bill in priced
        for priced in bill.lines
    ]
    sums: list[dict[str, object]] = [
        {
            "service": bill.title,
            "item": "in all",
            "a month $": _usd(bill),
            "grade": bill.grade,
            "how": _between(bill),
        }
        for bill in priced
    ]
    table = pd.DataFrame(sums + rows)
    st.dataframe(
        table,
        hide_index=True,
        key="compare.lines",
        column_config={
            "service": st.column_config.TextColumn(width=150),
            "item": st.column_config.TextColumn(width=80),
            "a month $": USD,
            "grade": st.column_config.TextColumn(help=GRADES),
            "how": st.column_config.TextColumn(width=170),
        },
        height=320,
    )
    for bill in bills:
        if bill.monthly_usd is None:
            st.warning(
                markdown(" ".join([bill.why, *bill.notes]), 600),
                icon=":material/block:",
                title=f"{markdown(bill.title)}: no cost",
            )
        elif bill.notes:
            st.caption(f":material/info: {markdown(bill.title)}: {markdown(' '.join(bill.notes), 600)}")
    st.caption(
        "Nodes are sized by memory. More queries than one node answers need more replicas: “Recall cost” on "
        "the Sizing page computes them from your own measurement."
    )
    parts.export(table, "comparison", plan_state.about(sizing), key="compare.lines_file")


def table_view(target: Target, sizing: SizingPlan, bills: tuple[Bill, ...]) -> None:
    """The article's table for these inputs; the live target's latency beside the quoted one."""
    words = _measured(target, sizing)
    rows = comparison.rows(bills, words)
    table = pd.DataFrame(
        [
            {
                "dimension": row.dimension,
                **dict(zip(comparison.COLUMNS, row.cells, strict=True)),
                "grade": row.grade,
                "read": row.date or "–",
                "source": row.source,
            }
            for row in rows
        ]
    )
    # This table, unlike all others, reads Markdown in its cells.
    cells = table.drop(columns=["grade", "read", "source"]).map(lambda cell: markdown(str(cell)))
    with st.container(key="compare-table"):
        st.table(cells.set_index("dimension"))
    st.caption(
        f"As of {markdown(comparison.as_of(rows))}, the oldest date in the table; `memdb facts` lists every "
        "fact with its source. Quoted: from AWS's pages; third party: from the article and others; none of "
        "it measured by us. Calculated: by the Cost view."
    )
    with st.expander("When each row was read, and where"):
        st.dataframe(table[["dimension", "read", "grade", "source"]], hide_index=True, key="compare.read")
    index = frame.index_name()
    st.button(
        "Measure latency here",
        icon=":material/timer:",
        on_click=_measure,
        key="compare.measure",
        disabled=index is None,
        help="200 searches, one after the other, on the index chosen in the sidebar (EF 64). Only reads.",
    )
    parts.export(table, "table", plan_state.about(sizing), key="compare.table_file")


def _measure() -> None:
    state.read_again(_LATENCY)


def _measured(target: Target, sizing: SizingPlan) -> str:
    run, index = st.session_state.get(_LATENCY, 0), frame.index_name()
    if not run or index is None:
        return ""
    try:
        with st.spinner("Asking 200 times"):
            k = min(sizing.inputs.load.query_k, cached.server(target).dialect.limits.k)
            latency = plan_state.measured_latency(target, index, 64, k, run)
    except MemDBError as exc:
        parts.show_error(exc, target)
        return ""
    return (
        f"p50 {latency.p50_ms:.2f} ms, p99 {latency.p99_ms:.2f} ms ({latency.queries} calls from here on "
        f"{line(target.name, 40)}, K {latency.k}, EF {latency.ef_runtime})"
    )


def break_even_view(sizing: SizingPlan) -> None:
    """Cost over queries a second and over vectors, and where the cheapest changes."""
    inputs = sizing.inputs
    queries, vectors = plan_state.break_even(
        inputs, sizing.estimate.profile, sizing.estimate.total_bytes, plan_state.book(inputs.wishes.region)
    )
    st.markdown("###### Over queries a second")
    _lines(queries, max(0.01, inputs.load.queries_per_s), "queries", sizing)
    st.caption(
        "Nodes are sized by memory here, so their lines are level; what one node answers is measured on the "
        "Recall page."
    )
    st.markdown("###### Over vectors")
    _lines(vectors, float(inputs.shape.vectors), "vectors", sizing)
    st.caption("A line ends where the service cannot: MemoryDB where no single node holds everything.")


def _lines(break_even: BreakEven, here: float, name: str, sizing: SizingPlan) -> None:
    st.plotly_chart(
        figures.break_even(
            break_even.axis,
            break_even.values,
            break_even.series,
            here,
            [(v, after) for v, _, after in break_even.crossings],
            dark=state.dark(),
        ),
        key=f"compare.{name}",
        config=charts.PLAIN,
        alt=f"Monthly cost of each service over {line(break_even.axis)}",
    )
    if not break_even.crossings and break_even.series:
        st.markdown("The cheapest service is the same over the whole range.")
    for value, before, after in break_even.crossings:
        st.markdown(
            f"Near **{_near(value)}** {markdown(break_even.axis)} the cheapest changes from "
            f"{markdown(before)} to **{markdown(after)}**."
        )
    table = pd.DataFrame(
        {
            break_even.axis: break_even.values,
            **{
                f"{title} $": [None if math.isnan(v) else round(v, 2) for v in costs]
                for title, costs in break_even.series
            },
        }
    )
    with st.expander("As a table"):
        st.dataframe(table, hide_index=True, key=f"compare.{name}_table", placeholder="–")
    parts.export(table, f"break-even-{name}", plan_state.about(sizing), key=f"compare.{name}_file")


def advisor_view() -> None:
    """The article's rules as questions; the answer with reasons, and what would change it."""
    st.caption("The article's “choose … when” rules as questions. Choose what applies to you.")
    answer = st.container()
    yes = [
        question.id
        for question in advisor.QUESTIONS
        if st.checkbox(markdown(question.text), key=f"compare.q.{question.id}", bind="query-params")
    ]
    advice = advisor.advise(yes)
    if advice.service is None:
        answer.info(markdown(advice.sentence), icon=":material/help:")
    else:
        answer.success(markdown(advice.sentence), icon=":material/check_circle:")
    columns = st.columns(2)
    for place, standing in enumerate(advice.standings if yes else ()):
        with columns[place % 2].container(border=True):
            mark = ":material/block:" if standing.against else ":material/check_circle:"
            points = "1 point" if standing.points == 1 else f"{standing.points:,} points"
            st.markdown(
                f"{mark} **{markdown(standing.service)}**: {'ruled out' if standing.against else points}"
            )
            for why in standing.against:
                st.markdown(f":material/close: {markdown(why)}")
            for why in standing.reasons:
                st.markdown(f":material/add: {markdown(why)}")
            if not standing.against and not standing.reasons:
                st.caption("None of these answers speaks for it or against it.")
    if yes:
        st.markdown("###### MemoryDB and ElastiCache with sync: where they differ")
        st.table(
            pd.DataFrame(
                [
                    {
                        "difference": d.about,
                        "MemoryDB": d.memorydb,
                        "ElastiCache, sync": d.elasticache,
                        "read": d.date,
                    }
                    for d in advisor.differences()
                ]
            )
            .map(lambda cell: markdown(str(cell)))
            .set_index("difference")
        )
    if advice.changes and yes:
        st.markdown("###### What would change the answer")
        for change in advice.changes:
            st.markdown(f"- {markdown(change)}")
    table = pd.DataFrame(
        [
            {
                "service": s.service,
                "ruled out": bool(s.against),
                "points": s.points,
                "for": " ".join(s.reasons),
                "against": " ".join(s.against),
            }
            for s in advice.standings
        ]
    )
    parts.export(table, "advice", {"yes": yes, "answer": advice.sentence}, key="compare.advice_file")


def _could_be_off(bills: list[Bill], cheapest: Bill) -> None:
    """Whether another service could be the cheapest, for what is not known of the prices."""
    most = cheapest.interval_usd
    rivals = [
        bill.title
        for bill in bills
        if bill is not cheapest and bill.interval_usd and most and bill.interval_usd[0] < most[1]
    ]
    if rivals:
        st.caption(
            f":material/info: Prices are not known so well: it could be {markdown(', '.join(rivals))}."
        )


def _what_it_buys(bills: list[Bill], cheapest: Bill) -> None:
    """The cheapest beside MemoryDB by what a month does not show."""
    for bill in comparison.beside_memorydb(bills, cheapest):
        latency, loss = comparison.gives(bill)
        st.markdown(
            f"- **{markdown(bill.title)}**, ${_usd(bill):,.0f}. p99 of a query: {markdown(latency)}. "
            f"Lost when a node dies: {markdown(loss)}."
        )
    st.caption(
        "Latency and loss are what AWS or others publish; they were not measured here. “Table” compares all "
        "properties, “Advisor” says which service fits your use."
    )


def _between(bill: Bill) -> str:
    low, high = bill.interval_usd or (0.0, 0.0)
    between = f"${low:,.0f} to ${high:,.0f}" if high - low >= 1 else ""
    return " ".join([between, *(f"At least this: {charge}." for charge in bill.unknown)]).strip()


def _near(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _usd(bill: Bill) -> float:
    return math.inf if bill.monthly_usd is None else bill.monthly_usd
