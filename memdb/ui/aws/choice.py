"""The AWS page's choice of Region and cluster, and its reads of AWS, kept for a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from memdb.cluster import aws, elasticache
from memdb.cluster.discover import SERVICES, Cluster, Service
from memdb.cluster.target import Target
from memdb.display import Markdown, labels, line, markdown
from memdb.errors import MemDBError
from memdb.operations import aws_alarms, aws_card, aws_metrics, aws_sample, aws_snapshots, elasticache_card
from memdb.operations.aws_alarms import Existing
from memdb.operations.aws_card import Card
from memdb.operations.aws_metrics import ListedSeries
from memdb.operations.aws_session import Absent, ask, is_target, region_of
from memdb.operations.aws_snapshots import Snapshot
from memdb.ui.kit import parts, role, state, targets

VIEWS = ("Card", "Metrics", "Alarms", "Snapshots")
MADE = {"made": st.column_config.DatetimeColumn("made (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC")}
SAMPLE = "sample"  # in the place of a Region
_REGION, _RUN, _SAID, _SAMPLE = "aws.region", "aws.run", "aws.said", "aws.sample"
_NAMED = 10  # serverless caches named at most
_SHOWS = (
    "With credentials this page shows the **cluster** (shards, nodes, zones, version, TLS, ACL, windows) "
    "against the production checklist, with how to fix what fails; **CloudWatch's metrics** for each node; "
    "the **alarms** as boto3, CloudFormation and Terraform; and **snapshots** with age, size "
    "and cost."
)


@dataclass(frozen=True, slots=True)
class ChosenCluster:
    """What the views draw."""

    card: Card
    region: str  # as it was asked for: empty is that of the environment
    run: int  # tells one asking from the next
    target: Target
    ours: bool  # whether the open target is this cluster

    @property
    def name(self) -> str:
        """The cluster's."""
        return self.card.cluster.name

    @property
    def service(self) -> Service:
        """Whose cluster it is."""
        return self.card.cluster.service

    @property
    def named_nodes(self) -> tuple[str, ...] | None:
        """Nodes by which CloudWatch knows an ElastiCache cluster; None on MemoryDB."""
        return self.card.node_names if self.service == "elasticache" else None

    @property
    def writable(self) -> bool:
        """Whether AWS may be written to: a writable target, which is this very cluster."""
        return self.ours and self.target.writable


def client(service: str, region: str) -> Any:
    """Of AWS, or of the sample where that is the Region.

    Raises:
        MemDBError: no credentials, or no Region.
    """
    return aws_sample.client(service) if region == SAMPLE else aws.client(service, region)


@st.cache_data(ttl="1m", max_entries=16, show_spinner="Asking AWS")
def _cards(region: str, service: Service, run: int) -> tuple[Card, ...]:
    read = elasticache_card.cards if service == "elasticache" else aws_card.cards
    return read(client(service, region))


@st.cache_data(ttl="1m", max_entries=16, show_spinner="Asking AWS")
def _serverless(region: str, run: int) -> tuple[Cluster, ...]:
    return elasticache.serverless(region, elasticache=client("elasticache", region))


@st.cache_data(ttl="1m", max_entries=16, show_spinner="Asking AWS")
def _snapshots(region: str, service: Service, cluster: str, run: int) -> tuple[Snapshot, ...]:
    return aws_snapshots.snapshots(client(service, region), cluster)


@st.cache_data(ttl="5m", max_entries=16, show_spinner="Asking CloudWatch")
def _listed(region: str, cluster: str, nodes: tuple[str, ...] | None, run: int) -> tuple[ListedSeries, ...]:
    cloudwatch = client("cloudwatch", region)
    if nodes is None:
        return aws_metrics.listed(cloudwatch, cluster)
    return aws_metrics.listed_nodes(cloudwatch, nodes)


@st.cache_data(ttl="1m", max_entries=16, show_spinner="Asking CloudWatch")
def _existing(region: str, cluster: str, nodes: tuple[str, ...] | None, run: int) -> tuple[Existing, ...]:
    return aws_alarms.existing(client("cloudwatch", region), cluster, nodes)


@st.cache_data(ttl="1m", max_entries=16, show_spinner="Asking AWS")
def _with_reserve(region: str, _card: Card, name: str, run: int) -> Card:
    return elasticache_card.with_reserve(client("elasticache", region), _card)


def whole_card(chosen: ChosenCluster) -> Card:
    """The card, of ElastiCache with the reserved memory of its parameter group."""
    if chosen.service != "elasticache":
        return chosen.card
    return _with_reserve(chosen.region, chosen.card, chosen.name, chosen.run)


def snapshots(chosen: ChosenCluster) -> tuple[Snapshot, ...] | Absent:
    """Of the cluster, or why they are not known."""
    return ask(
        f"{chosen.service}:DescribeSnapshots",
        lambda: _snapshots(chosen.region, chosen.service, chosen.name, chosen.run),
    )


def listed(chosen: ChosenCluster) -> tuple[ListedSeries, ...] | Absent:
    """Series of the cluster, or why they are not known."""
    return ask(
        "cloudwatch:ListMetrics",
        lambda: _listed(chosen.region, chosen.name, chosen.named_nodes, chosen.run),
    )


def existing(chosen: ChosenCluster) -> tuple[Existing, ...] | Absent:
    """Alarms of the cluster, or why they are not known."""
    return ask(
        "cloudwatch:DescribeAlarms",
        lambda: _existing(chosen.region, chosen.name, chosen.named_nodes, chosen.run),
    )


def choose(target: Target, shows: Markdown = _SHOWS) -> ChosenCluster | None:
    """Region and cluster; None where nothing can be shown, with what to do and what would be shown."""
    if sentence := st.session_state.pop(_SAID, ""):
        st.toast(markdown(sentence), icon=":material/check:")
    free, own = targets.may_enter_addresses(), region_of(target)
    run = st.session_state.setdefault(_RUN, 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = ""
        if free:
            typed = st.text_input(
                "Region",
                key=_REGION,
                placeholder=line(own, 40) or "of AWS_REGION or the profile",
                bind="query-params",
                width=260,
            ).strip()
        st.button(
            "Ask AWS" if not run else "Ask again", icon=":material/refresh:", key="aws.ask", on_click=again
        )
        sample = st.toggle(
            "Sample cluster",
            key=_SAMPLE,
            bind="query-params",
            help="Shows this page with made figures. AWS is not asked.",
        )
        place = st.empty()
    region = SAMPLE if sample else typed or own
    if sample:
        st.info(
            "Names and figures below are made, in the shapes in which AWS answers. No account is asked, and "
            "nothing can be changed.",
            title="A sample cluster, not yours",
            icon=":material/theater_comedy:",
        )
    if not (region or (run and free)):
        parts.empty(
            "AWS has not been asked",
            f"{shows}\n\nName a Region, or press *Ask AWS*: reading changes nothing. "
            "*Sample cluster* shows the page without credentials."
            if free
            else "The open target is no cluster of AWS, and visitors cannot ask for others here. "
            "*Sample cluster* shows the page.",
            ":material/cloud:",
        )
        return None
    cards, problems = _all_cards(region, run)
    for problem in problems:
        parts.show_error(problem)
    if not cards and problems:
        st.caption(shows)
        return None
    if not free and not sample:
        cards = tuple(card for card in cards if _ours(target, card))
    else:
        _name_serverless(region, run)
    if not cards:
        parts.empty(
            "No cluster to show",
            "Name another Region, or check which account the credentials belong to.",
            ":material/cloud_off:",
        )
        return None
    names = [card.cluster.title for card in cards]
    mine = next((i for i, card in enumerate(cards) if _ours(target, card)), 0)
    with place:
        name = st.selectbox(
            "Cluster",
            names,
            index=mine,
            key="aws.cluster",
            bind="query-params",
            width=320,
            format_func=labels(names, 80),
        )
    card = next((card for card in cards if card.cluster.title == name), cards[0])
    return ChosenCluster(card, region, run, target, _ours(target, card))


def _name_serverless(region: str, run: int) -> None:
    """Serverless caches have no card: what they lack is said, so that nobody looks for them."""
    caches = ask("elasticache:DescribeServerlessCaches", lambda: _serverless(region, run))
    if isinstance(caches, Absent):
        st.caption(markdown(f"Serverless caches are not known. {caches.words} Needed: {caches.action}."))
    elif caches:
        names = ", ".join(markdown(f"{cache.name} ({cache.status})", 80) for cache in caches[:_NAMED])
        more = f" and {len(caches) - _NAMED:,} more" if len(caches) > _NAMED else ""
        st.caption(
            f"Serverless caches here have no vector search and no durability, and no card: {names}{more}."
        )


def _all_cards(region: str, run: int) -> tuple[tuple[Card, ...], list[MemDBError]]:
    """Cards of both services; the one that cannot be asked leaves the other."""
    cards: list[Card] = []
    problems: list[MemDBError] = []
    for service in SERVICES:
        try:
            cards += _cards(region, service, run)
        except MemDBError as exc:
            if str(exc) not in map(str, problems):
                problems.append(exc)
    return tuple(cards), problems


def view() -> str:
    """Which part of the page; only what is looked at is asked for."""
    return str(
        st.segmented_control(
            "Show",
            VIEWS,
            default=VIEWS[0],
            required=True,
            key="aws.view",
            bind="query-params",
            label_visibility="collapsed",
        )
    )


def again() -> None:
    """A callback: forget what AWS said."""
    state.read_again(_RUN)


def absent(absence: Absent) -> None:
    """One figure that is not there, and why; the rest goes on."""
    st.warning(
        markdown(f"{absence.todo} Needed: {absence.action}."),
        title=markdown(absence.why),
        icon=":material/help:",
    )


def confirmed(chosen: ChosenCluster, what: Markdown, *, key: str) -> bool:
    """A button that works once the cluster's name is typed; where nothing may be written, why."""
    if not chosen.writable:
        st.caption(
            ":material/lock: "
            + ("The open target is read-only." if chosen.ours else "The open target is not this cluster.")
            + " Copy the command, or open the cluster as a writable target."
        )
        return False
    if why := role.refusal():
        st.caption(f":material/lock: {why}")
        return False
    typed = st.text_input(f"Type {markdown(chosen.name)} to confirm", key=f"{key}.typed", autocomplete="off")
    pressed = st.button(what, type="primary", key=f"{key}.do")
    if pressed and typed.strip() != chosen.name:
        st.error("Nothing was sent.", title="That is not the cluster's name.", icon=":material/error:")
        return False
    return pressed


def write(call: Callable[[], object], sentence: str) -> None:
    """Send it, tell it in the next run; an error stays where it happened."""
    with parts.errors_shown():
        call()
        st.session_state[_SAID] = sentence
        again()
        st.rerun()


def _ours(target: Target, card: Card) -> bool:
    return is_target(target, card.cluster.name, card.cluster.host, card.cluster.service)
