"""What the Plan pages share: the catalogue with the user's prices, profiles, and cached reckoning."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import streamlit as st

from memdb.cluster.target import Target
from memdb.errors import MemDBError
from memdb.sizing import catalogue, forecast, latency, plan, prices, profiles, services
from memdb.sizing.catalogue import Catalogue
from memdb.sizing.choose import Choice
from memdb.sizing.latency import MeasuredLatency
from memdb.sizing.model import Profile
from memdb.sizing.plan import Inputs, SizingPlan
from memdb.sizing.shape import Shape
from memdb.sizing.unplanned import Unplanned
from memdb.ui.kit import cached

PRICES = "plan.prices"  # {price id: value} the user gave, of the region in PRICES_REGION
PRICES_REGION = "plan.prices_region"
WRONG = "plan.wrong"  # (what happened, what to do) of the last read or refresh
READ = "plan.read"  # a sentence about the last read from the cluster
UNPLANNED = "plan.unplanned"  # (target, what it held besides) of the last read


@st.cache_data(ttl="10s", max_entries=4, show_spinner=False)
def profile_names(folder: Path) -> tuple[str, ...]:
    """Profiles that can be chosen."""
    return profiles.names(folder)


def profile(name: str) -> Profile:
    """A profile by name.

    Raises:
        BadInput: there is none.
    """
    return profiles.load(name, cached.home())


def own_prices(region: str) -> dict[str, float]:
    """Prices the user gave for this region in this browser tab."""
    if st.session_state.get(PRICES_REGION) != region:
        return {}
    typed: dict[str, float] = st.session_state.get(PRICES, {})
    return typed


def book(region: str) -> Catalogue:
    """The catalogue: the package's, what was refreshed, what the user changed."""
    price_book = catalogue.load().with_prices(refreshed(cached.home()))
    mine = own_prices(region)
    return price_book.changed(dict(mine), region) if mine else price_book


@st.cache_data(ttl="10s", max_entries=4, show_spinner=False)
def refreshed(folder: Path) -> tuple[catalogue.Price, ...]:
    """Prices that were refreshed from AWS earlier."""
    return prices.usable(folder)


def sizing_plan(inputs: Inputs, chosen: Profile) -> SizingPlan:
    """The plan of these inputs.

    Raises:
        BadInput: a number cannot be used, or the region has no prices.
    """
    return plan.plan(inputs, chosen, book(inputs.wishes.region))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs={Inputs: repr, Profile: repr, Catalogue: repr})
def break_even(
    inputs: Inputs, chosen: Profile, needed_bytes: float, price_book: Catalogue
) -> tuple[forecast.BreakEven, forecast.BreakEven]:
    """Costs over queries and over vectors: some hundred bills each."""
    shape, sessions, load, wishes = inputs.shape, inputs.sessions, inputs.load, inputs.wishes
    return (
        forecast.over_queries(shape, sessions, load, needed_bytes, price_book, wishes),
        forecast.over_vectors(shape, sessions, load, chosen, price_book, wishes),
    )


def all_bills(sizing: SizingPlan) -> tuple[services.Bill, ...]:
    """Every service for the plan's inputs."""
    inputs = sizing.inputs
    return services.bills(
        inputs.shape,
        inputs.sessions,
        inputs.load,
        sizing.estimate.total_bytes,
        book(inputs.wishes.region),
        inputs.wishes,
    )


@st.cache_data(ttl="10m", max_entries=16, show_spinner=False)
def measured_latency(target: Target, index: str, ef: int, k: int, run: int) -> MeasuredLatency:
    """Latency of the live target, measured; `run` tells one measurement from the next."""
    return latency.measure(cached.client(target), cached.index_info(target, index), k=k, ef_runtime=ef)


def keep_wrong(exc: MemDBError) -> None:
    """Keep an error of a callback for the page to show."""
    st.session_state[WRONG] = (str(exc), exc.hint)


def unplanned(target: Target) -> Unplanned | None:
    """What was there beside the index of the last read; None where nothing was read from this target."""
    read_of, besides = st.session_state.get(UNPLANNED, (None, None))
    return besides if read_of == target else None


def other(sizing: SizingPlan, shape: Shape) -> Choice | None:
    """The cheapest nodes for another shape, all else as in the plan."""
    inputs = sizing.inputs
    changed = plan.plan(replace(inputs, shape=shape), sizing.estimate.profile, book(inputs.wishes.region))
    return changed.choices.first


def about(sizing: SizingPlan) -> dict[str, object]:
    """The inputs, for an exported file."""
    inputs = sizing.inputs
    return {
        "shape": asdict(inputs.shape),
        "sessions": asdict(inputs.sessions),
        "load": asdict(inputs.load),
        "region": inputs.wishes.region,
        "engine": inputs.wishes.flavour,
        "reserve": inputs.wishes.reserve,
        "profile": sizing.estimate.profile.name,
    }
