"""The Sizing page's right side: memory against nodes, growth, sessions; the other views are modules."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, duration, markdown
from memdb.errors import MemDBError
from memdb.sizing import forecast
from memdb.sizing.choose import usable
from memdb.sizing.constraints import Constraint
from memdb.sizing.model import COMPONENTS
from memdb.sizing.plan import Option, SizingPlan
from memdb.sizing.shape import parse_count
from memdb.ui.kit import charts, parts, state
from memdb.ui.plan import costs, figures, form, live, prices, templates
from memdb.ui.plan import state as plan_state
from memdb.ui.plan.columns import USD
from memdb.ui.plan.figures import BarPart, Limit
from memdb.ui.plan.form import PlanChoice

VIEWS = ("Memory", "Growth", "Sessions", "What if", "Recall cost", "Prices", "Deploy", "Code")


def right_side(target: Target, choice: PlanChoice | MemDBError) -> None:
    """The plan in its views, or what is wrong with the inputs."""
    form.last_reading()
    sizing: SizingPlan | None = None
    try:
        if isinstance(choice, MemDBError):
            raise choice
        sizing = plan_state.sizing_plan(choice.inputs, choice.profile)
    except MemDBError as exc:
        parts.show_error(exc)
        st.caption("Nothing was calculated; what you typed is still there.")
    if sizing is not None:
        headline(sizing)
        live.strip(target, sizing)
    view = parts.view_choice(VIEWS, key="plan.view")
    with parts.errors_shown(target):
        if view == "Prices":
            prices.view()
        elif sizing is None or isinstance(choice, MemDBError):
            st.caption("Correct the inputs on the left, or enter prices under “Prices”.")
        elif view == "Growth":
            growth_view(sizing)
        elif view == "Sessions":
            sessions_view(sizing)
        elif view == "What if":
            costs.changes_view(sizing)
        elif view == "Recall cost":
            costs.recall_view(target, sizing)
        elif view == "Deploy":
            templates.deploy_view(sizing)
        elif view == "Code":
            templates.code_view(sizing)
        else:
            memory_view(sizing)


def headline(sizing: SizingPlan) -> None:
    """Memory, the smallest fitting nodes, the month's bill."""
    estimate = sizing.estimate
    first = sizing.options[0] if sizing.options else None
    # Three numbers of one plan stand together; the narrow layout puts one below the other.
    memory, nodes, bill = st.columns([1.1, 1.3, 1])
    memory.metric(
        "Memory of one node",
        bytes_text(estimate.total_bytes),
        help=f"Profile {markdown(estimate.profile.name)}: {markdown(estimate.profile.grade)}.",
    )
    memory.caption(f"{bytes_text(estimate.low_bytes)} to {bytes_text(estimate.high_bytes)}")
    if first is None:
        nodes.metric("Smallest fitting node", "none")
        bill.metric("A month", "–")
        parts.show_error(MemDBError(sizing.choices.why_none, " ".join(sizing.choices.instead)))
    else:
        choice = first.choice
        nodes.metric("Smallest fitting node", f"{choice.nodes:,} × {markdown(choice.node.size)}")
        nodes.caption(f"{choice.used_share:.0%} of the room for data used")
        bill.metric(
            "A month",
            f"${first.monthly_usd:,.0f}",
            help="Node price: "
            + markdown(f"{choice.price.grade}, {choice.price.source}, {choice.price.date or 'now'}."),
        )
        read = f"{choice.price.grade} · {choice.price.region} · {choice.price.date or 'yours'}"
        bill.caption(markdown(f"{read}{_between(first)}"))
    for constraint in sizing.limits:
        if constraint.ok is False:
            st.warning(markdown(constraint.text), icon=":material/block:", title="MemoryDB cannot do this")
    for note in estimate.notes:
        st.caption(f":material/info: {markdown(note)}")


def memory_view(sizing: SizingPlan) -> None:
    """Components against nodes, the three choices with their bills, and MemoryDB's limits."""
    estimate, wishes = sizing.estimate, sizing.inputs.wishes
    pieces = [BarPart(COMPONENTS[name], size) for name, size in estimate.components.items()]
    limits = [
        Limit(
            option.choice.node.size,
            option.choice.node.memory_bytes,
            usable(option.choice.node, wishes.reserve),
        )
        for option in sizing.options
    ]
    limits.sort(key=lambda limit: limit.memory)
    st.plotly_chart(
        figures.memory_bars(pieces, estimate.low_bytes, estimate.high_bytes, limits, dark=state.dark()),
        key="plan.memory",
        config=charts.PLAIN,
        alt=f"{bytes_text(estimate.total_bytes)} by component above the nodes that hold it",
    )
    st.caption(
        f"Hatched: the {wishes.reserve:.0%} kept free for replication, snapshots and peaks. "
        "Each replica holds all of it again."
    )
    parts_frame = components_frame(sizing)
    st.dataframe(
        parts_frame,
        hide_index=True,
        key="plan.components",
        column_config={
            "share": st.column_config.NumberColumn(format="percent"),
            "bytes": st.column_config.NumberColumn(format="localized"),
        },
    )
    if sizing.options:
        st.markdown("###### The smallest that fits, and the next two")
        st.dataframe(
            options_frame(sizing.options),
            hide_index=True,
            key="plan.options",
            column_config={
                "node": st.column_config.TextColumn(width=96),
                "nodes": st.column_config.NumberColumn(width=46),
                "a month $": st.column_config.NumberColumn(format="dollar", width=76),
                "used": st.column_config.NumberColumn(
                    format="percent", width=56, help="Of the room for data, without what is kept free."
                ),
                "memory": st.column_config.TextColumn(width=64),
                "vCPU": st.column_config.NumberColumn(width=42),
                "Gbps": st.column_config.NumberColumn(width=46),
                "nodes $": st.column_config.NumberColumn(format="dollar", width=76),
                "data written $": st.column_config.NumberColumn("writes $", format="dollar", width=66),
                "snapshots $": st.column_config.NumberColumn("backup $", format="dollar", width=68),
            },
        )
        st.caption(markdown(" · ".join([sizing.options[0].lines[0].how, *_hows(sizing.options[0])]), 1_000))
        sources = dict.fromkeys(f"{o.choice.price.grade}, {o.choice.price.source}" for o in sizing.options)
        st.caption(markdown(f"Prices of nodes: {'; '.join(sources)}.", 600))
    limits_table(sizing.limits)
    parts.export(parts_frame, "memory", plan_state.about(sizing), key="plan.memory_file")


def components_frame(sizing: SizingPlan) -> pd.DataFrame:
    """Components as a table."""
    estimate = sizing.estimate
    rows = [
        {
            "component": COMPONENTS[name],
            "size": bytes_text(size),
            "bytes": round(size),
            "share": size / estimate.total_bytes,
        }
        for name, size in estimate.components.items()
        if size
    ]
    return pd.DataFrame(rows)


def options_frame(options: tuple[Option, ...]) -> pd.DataFrame:
    """Choices as a table."""
    return pd.DataFrame(
        [
            {
                "node": o.choice.node.name,
                "nodes": o.choice.nodes,
                "a month $": o.monthly_usd,
                "used": o.choice.used_share,
                "memory": bytes_text(o.choice.node.memory_bytes),
                "vCPU": o.choice.node.vcpu,
                "Gbps": o.choice.node.gbps or None,
                **{f"{priced.item} $": priced.usd for priced in o.lines},
            }
            for o in options
        ]
    )


def _between(first: Option) -> str:
    """How far a bill with estimated node prices could be off; empty where they are known."""
    low, high = first.interval_usd
    return f" · ${low:,.0f} to ${high:,.0f}" if high - low >= 1 else ""


def limits_table(limits: tuple[Constraint, ...]) -> None:
    """A service's limits, each with its source."""
    with st.expander("What MemoryDB allows, and how this plan stands to it"):
        st.dataframe(limits_frame(limits), hide_index=True, key="plan.limits")


def limits_frame(limits: tuple[Constraint, ...]) -> pd.DataFrame:
    """Limits as a table."""
    marks = {True: "✓ fits", False: "✕ broken", None: "know"}
    return pd.DataFrame(
        [{"allowed": marks[c.ok], "limit": c.text, "source": c.source, "read": c.date or "–"} for c in limits]
    )


def growth_view(sizing: SizingPlan) -> None:
    """24 months, and the month when today's node no longer holds it."""
    left, right = st.columns(2)
    percent = left.number_input(
        "Growth a month, %",
        value=5.0,
        step=1.0,
        key="plan.growth",
        bind="query-params",
        format="%.4g",
        help="Of vectors and of session arrivals.",
    )
    added = right.text_input("Vectors added a month", value="0", key="plan.added", bind="query-params")
    inputs = sizing.inputs
    growth = forecast.forecast(
        inputs.shape,
        inputs.sessions,
        sizing.estimate.profile,
        inputs.load,
        plan_state.book(inputs.wishes.region),
        inputs.wishes,
        growth=percent / 100,
        added=parse_count("Vectors added a month", added),
    )
    today = growth.months[0].choice
    if today is None:
        st.warning("No node holds it today already.", icon=":material/block:")
    elif growth.first_unfit is None:
        st.success(
            f"{markdown(today.node.size)} holds it for the next {forecast.MONTHS} months.",
            icon=":material/check_circle:",
        )
    else:
        then = growth.months[growth.first_unfit].choice
        st.warning(
            f"In month {growth.first_unfit} {markdown(today.node.size)} no longer holds it. Then: "
            + (
                f"{markdown(then.node.size)}, ${then.monthly_usd:,.0f} a month for the nodes."
                if then
                else "no single shard does."
            ),
            icon=":material/trending_up:",
        )
    months = growth.months
    st.plotly_chart(
        figures.growth(
            [m.month for m in months],
            [m.bytes for m in months],
            [m.low_bytes for m in months],
            [m.high_bytes for m in months],
            usable(today.node, inputs.wishes.reserve) if today else None,
            today.node.size if today else "",
            growth.first_unfit,
            dark=state.dark(),
        ),
        key="plan.growth_chart",
        config=charts.PLAIN,
        alt="Memory over the next 24 months against today's node",
    )
    table = pd.DataFrame(
        [
            {
                "month": m.month,
                "vectors": m.vectors,
                "memory": bytes_text(m.bytes),
                "fits today's node": m.fits,
                "node": m.choice.node.name if m.choice else "none",
                "nodes a month $": m.choice.monthly_usd if m.choice else None,
            }
            for m in months
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key="plan.growth_table",
        height=280,
        placeholder="–",
        column_config={"nodes a month $": USD, "vectors": st.column_config.NumberColumn(format="localized")},
    )
    about = {**plan_state.about(sizing), "growth_percent_a_month": percent, "added_a_month": added}
    parts.export(table, "growth", about, key="plan.growth_file")


def sessions_view(sizing: SizingPlan) -> None:
    """The time to live against memory and bill."""
    inputs = sizing.inputs
    if not inputs.sessions.live:
        parts.empty(
            "No sessions in this plan",
            "Give “New a second” on the left: rate × time to live of them are there at any time.",
            ":material/forum:",
        )
        return
    points = forecast.by_ttl(
        inputs.shape,
        inputs.sessions,
        sizing.estimate.profile,
        inputs.load,
        plan_state.book(inputs.wishes.region),
        inputs.wishes,
    )
    here = next(p for p in points if p.ttl_s == inputs.sessions.ttl_s)
    st.markdown(
        f"With a time to live of **{duration(here.ttl_s)}**, **{here.live:,}** sessions take "
        f"**{bytes_text(here.session_bytes)}**, {here.session_bytes / here.total_bytes:.0%} of the memory."
    )
    st.plotly_chart(
        figures.ttl_curves(
            [p.ttl_s for p in points],
            sizing.estimate.data_bytes,
            [p.session_bytes for p in points],
            [p.choice.monthly_usd if p.choice else math.nan for p in points],
            inputs.sessions.ttl_s,
            dark=state.dark(),
        ),
        key="plan.ttl_chart",
        config=charts.PLAIN,
        alt="Memory and monthly cost over the time to live of sessions",
    )
    table = pd.DataFrame(
        [
            {
                "time to live": duration(p.ttl_s),
                "sessions": p.live,
                "sessions take": bytes_text(p.session_bytes),
                "in all": bytes_text(p.total_bytes),
                "node": p.choice.node.name if p.choice else "none",
                "nodes a month $": p.choice.monthly_usd if p.choice else None,
            }
            for p in points
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key="plan.ttl_table",
        placeholder="–",
        column_config={"nodes a month $": USD, "sessions": st.column_config.NumberColumn(format="localized")},
    )
    parts.export(table, "sessions", plan_state.about(sizing), key="plan.ttl_file")


def _hows(option: Option) -> list[str]:
    return [f"{priced.item}: {priced.how}" for priced in option.lines[1:]]
