"""Prices from AWS's own price list, through boto3. Of sizing, only this talks to AWS, and it only reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError

from memdb import files
from memdb.cluster import aws
from memdb.errors import BadInput, DamagedFile, LoginFailed, MemDBError, Unreachable
from memdb.jobs import Report, silent
from memdb.sizing.catalogue import CURRENCY, GRADES, Price, Service

# The Pricing API has endpoints in few regions; prices of all regions come from each.
ENDPOINT = "us-east-1"
CODES: dict[Service, str] = {"memorydb": "AmazonMemoryDB", "elasticache": "AmazonElastiCache"}
_MOST_PAGES = 60
_MOST = 1e9
_ENGINES = {"valkey": "valkey", "redis": "redis", "redis oss": "redis"}


def client() -> Any:
    """A boto3 client of the Pricing API, with the credentials of this environment.

    Raises:
        LoginFailed: there are none.
    """
    try:
        session = aws.with_credentials(
            "There are no AWS credentials here, so prices cannot be refreshed.",
            "Log in with the AWS CLI (policy action pricing:GetProducts), or enter prices yourself.",
        )
        return session.client("pricing", region_name=ENDPOINT)
    except BotoCoreError as exc:
        raise _explained(exc) from exc


def refresh(pricing: Any, service: Service, region: str, *, report: Report = silent) -> tuple[Price, ...]:
    """On-demand node hours of one service in one region.

    Args:
        pricing: a boto3 client of the Pricing API.
        service: whose nodes.
        region: e.g. eu-central-1.
        report: told how many items were read; may raise Cancelled.

    Raises:
        BadInput: the list holds nothing for that region, or prices in another currency.
        LoginFailed: AWS refuses the credentials.
        Unreachable: AWS does not answer.
    """
    prices: dict[str, Price] = {}
    other: set[str] = set()
    token = ""
    for page in range(_MOST_PAGES):
        report("Reading prices", page, 0)
        wanted: dict[str, Any] = {
            "ServiceCode": CODES[service],
            "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
            "FormatVersion": "aws_v1",
            "MaxResults": 100,
        }
        try:
            reply = pricing.get_products(**wanted, **({"NextToken": token} if token else {}))
        except (BotoCoreError, ClientError) as exc:
            raise _explained(exc) from exc
        for text in reply.get("PriceList", ()):
            price = _price(text, service, region, other)
            if price is not None:
                prices[price.id] = price
        token = reply.get("NextToken", "")
        if not token:
            break
    if not prices:
        if other:
            raise BadInput(
                f"AWS lists prices of {region} in {', '.join(sorted(other))}, and this calculator uses "
                f"{CURRENCY}.",
                "Enter the prices in USD yourself; nothing was changed.",
            )
        raise BadInput(
            f"AWS lists no node prices of {CODES[service]} for the region '{region}'.",
            "Check the region's name, e.g. eu-central-1.",
        )
    return tuple(prices[key] for key in sorted(prices))


def save(prices: tuple[Price, ...], home: Path) -> Path:
    """Keep refreshed prices; they stand before the package's own.

    Raises:
        NotKept: the folder cannot be written.
    """
    price_of = {(p.id, p.region): p for p in (*usable(home), *prices)}
    text = json.dumps([asdict(p) for p in price_of.values()], indent=1)
    return files.write(_path(home), text.encode())


def load(home: Path) -> tuple[Price, ...]:
    """Prices that were refreshed earlier.

    Raises:
        DamagedFile: their file is damaged; it was set aside.
    """
    path = _path(home)
    prices: tuple[Price, ...] = files.document(path, tuple[Price, ...]) or ()
    with files.reading(path):
        for price in prices:
            if not 0 <= price.value < _MOST or price.grade not in GRADES or price.currency != CURRENCY:
                raise ValueError(f"{price.id} is {price.value:g} {price.currency}, grade '{price.grade}'")
    return prices


def usable(home: Path) -> tuple[Price, ...]:
    """The same; none where the file is damaged, which stands in `files.NOTICES`."""
    try:
        return load(home)
    except DamagedFile:
        return ()


def _path(home: Path) -> Path:
    return home / "prices.json"


def _price(text: object, service: Service, region: str, other: set[str]) -> Price | None:
    """A price from one item of the list, which is a JSON text; None for what is no on-demand node hour."""
    item = json.loads(text) if isinstance(text, str) else text
    if not isinstance(item, Mapping):
        return None
    attributes = item.get("product", {}).get("attributes", {})
    name = attributes.get("instanceType", "")
    engine = _ENGINES.get(
        str(attributes.get("cacheEngine") or attributes.get("engine") or "").strip().lower()
    )
    if not name or engine is None:
        return None
    for dimension in _dimensions(item):
        if dimension.get("unit") not in ("Hrs", "Hours"):
            continue
        per_unit = dimension.get("pricePerUnit", {})
        if CURRENCY not in per_unit:
            other.update(per_unit)
            continue
        try:
            value = float(per_unit[CURRENCY])
        except ValueError:
            continue
        if value > 0:
            return Price(
                f"{service}/{name}/{engine}",
                value,
                "hour",
                region,
                CURRENCY,
                "price list",
                f"AWS Price List, {CODES[service]}",
                datetime.now(UTC).strftime("%Y-%m-%d"),
            )
    return None


def _dimensions(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for term in item.get("terms", {}).get("OnDemand", {}).values():
        yield from term.get("priceDimensions", {}).values()


def _explained(exc: BotoCoreError | ClientError) -> MemDBError:
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        return LoginFailed(
            f"AWS refused the price list: {error.get('Code', '?')}.",
            "The policy action needed is pricing:GetProducts. Prices can be entered by hand as well.",
        )
    return Unreachable(
        f"AWS's price list did not answer: {str(exc).rstrip('.')}.",
        "Check network and credentials, or enter prices by hand.",
    )


assert set(CODES) == set(get_args(Service))  # noqa: S101  # a service without a code could not be refreshed
