"""Prices: every one with source, date and grade, to be changed, and refreshed from AWS where one may."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import markdown
from memdb.errors import MemDBError
from memdb.jobs import Job
from memdb.sizing import catalogue, prices
from memdb.sizing.catalogue import Price
from memdb.ui.kit import cached, parts, role
from memdb.ui.kit.job import JobSlot
from memdb.ui.plan import state

REFRESHING = JobSlot[int]("plan.job")
_VERSION = "plan.prices_version"  # a new editor after each change, so that it shows what counts
_NEXT_GEN = "opensearch/ocu_nextgen"  # no verified price; the user may give one


def view() -> None:
    """The table of prices; a change counts in this browser tab."""
    region = _region()
    book = state.book(region)
    price_ids = sorted({p.id for p in book.prices if p.region == region}, key=_order)
    mine = state.own_prices(region)
    rows = [
        _row(price_id, book.find(price_id, region), region, mine) for price_id in _with_next_gen(price_ids)
    ]
    st.caption(
        f"{len(price_ids)} prices for {markdown(region)}, in {catalogue.CURRENCY}, on demand, without tax. "
        "Write into “yours” to calculate with your own; empty takes the catalogue's again. After a refresh, "
        "“before” is the price that was replaced. "
        "Yours stay in this browser tab."
    )
    version = st.session_state.get(_VERSION, 0)
    st.data_editor(
        pd.DataFrame(rows),
        hide_index=True,
        key=f"plan.editor.{version}",
        height=460,
        num_rows="fixed",
        disabled=["price of", "before", "catalogue", "change", "unit", "grade", "date", "source"],
        placeholder="–",
        on_change=_changed,
        args=(f"plan.editor.{version}", region, [row["price of"] for row in rows]),
        column_config={
            "before": st.column_config.NumberColumn(format="%.6g", help="Replaced by a refresh from AWS."),
            "catalogue": st.column_config.NumberColumn(format="%.6g"),
            "change": st.column_config.NumberColumn(format="percent"),
            "yours": st.column_config.NumberColumn(format="%.6g", min_value=0.0),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Forget mine",
            icon=":material/undo:",
            disabled=not mine,
            on_click=_forget,
            key="plan.prices.forget",
        )
        st.button(
            "Refresh from AWS",
            icon=":material/cloud_download:",
            on_click=_refresh,
            args=(region,),
            key="plan.prices.refresh",
            disabled=REFRESHING.current() is not None or role.locked(),
            help="Reads node prices of MemoryDB and ElastiCache for this region from AWS's price list, with "
            "the credentials of this process (pricing:GetProducts). Kept under MEMDB_HOME.",
        )
    if not REFRESHING.watch():
        _ended()
    table = pd.DataFrame(rows)
    parts.export(table, f"prices-{region}", {"region": region}, key="plan.prices_file")


def _order(price_id: str) -> tuple[int, bool, str]:
    service = price_id.partition("/")[0]
    order = ("memorydb", "s3vectors", "opensearch", "elasticache")
    # A service's few charges before its many nodes.
    return order.index(service) if service in order else len(order), "." in price_id, price_id


def _region() -> str:
    return str(st.session_state.get("plan.region") or "us-east-1")


def _with_next_gen(price_ids: list[str]) -> list[str]:
    return price_ids if _NEXT_GEN in price_ids else [*price_ids, _NEXT_GEN]


def _row(price_id: str, price: Price | None, region: str, mine: dict[str, float]) -> dict[str, object]:
    own = mine.get(price_id)
    listed = price if price is not None and price.grade != "yours" else None
    packaged = catalogue.load().find(price_id, region)
    # A refreshed price stands beside the one it replaced.
    before = packaged if listed is not None and packaged != listed else None
    return {
        "price of": price_id,
        "before": before.value if before else None,
        "catalogue": listed.value if listed else None,
        "change": listed.value / before.value - 1 if before and listed and before.value else None,
        "yours": own,
        "unit": price.unit if price else "OCU hour",
        "grade": price.grade if price else "not known",
        "date": price.date if price else "",
        "source": price.source if price else "not verified",
    }


def _changed(key: str, region: str, ids: list[str]) -> None:
    """A callback: keep what was written into the table."""
    edits = st.session_state.get(key, {}).get("edited_rows", {})
    own_prices = dict(state.own_prices(region))
    for row, change in edits.items():
        price_id = ids[int(row)]
        value = change.get("yours")
        if value is None:
            own_prices.pop(price_id, None)
        else:
            own_prices[price_id] = float(value)
    st.session_state.pop(state.WRONG, None)
    try:
        catalogue.load().changed(dict(own_prices), region)
    except MemDBError as exc:
        state.keep_wrong(exc)
        return
    st.session_state[state.PRICES] = own_prices
    st.session_state[state.PRICES_REGION] = region
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1


def _forget() -> None:
    st.session_state.pop(state.PRICES, None)
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1


@role.changes
def _refresh(region: str) -> None:
    """A callback: read AWS's price list in the background."""
    home = cached.home()

    def work(job: Job[int]) -> int:
        pricing = prices.client()
        read: list[Price] = []
        for service in prices.CODES:
            read += prices.refresh(pricing, service, region, report=job.report)
        prices.save(tuple(read), home)
        return len(read)

    REFRESHING.start(f"Prices of {region}", work)


def _ended() -> None:
    if REFRESHING.first_seen_ended():
        state.refreshed.clear()
    job = REFRESHING.outcome()
    if job is not None and job.state.status == "done":
        st.success(f"{job.result:,} prices read from AWS's list and kept.", icon=":material/check_circle:")
