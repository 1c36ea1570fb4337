"""What an hour of an instance type costs: as AWS said when the night was planned, or else by the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Literal, NamedTuple, get_args

from sparsebench import catalog
from sparsebench.contracts import InstanceFacts

Market = Literal["on_demand", "spot"]
MARKETS: tuple[str, ...] = get_args(Market)
Types = Mapping[str, InstanceFacts]
"""What a night's instance types have and cost, by name."""


class Offer(NamedTuple):
    """What an hour costs. usd_per_hour: NaN where it is not known; as_of is then empty."""

    usd_per_hour: float
    region: str
    market: Market
    as_of: str


def offer(instance_type: str, types: Types, market: Market = "on_demand", region: str | None = None) -> Offer:
    """The night's price, where it is of the region; or else the catalog's, which has none of spot instances.

    region: None is the night's own, and where that has no price, the catalog's first.
    """
    known = types.get(instance_type)
    if known and region in (None, known.region):
        usd, as_of = (
            (known.spot_usd_per_hour, known.as_of) if market == "spot" else (known.usd_per_hour, known.usd_as_of)
        )
        if usd is not None and as_of:
            return Offer(usd, known.region, market, str(as_of))
    entry = catalog.instance_types().get(instance_type)
    prices = [price for price in (entry.prices if entry else ()) if region in (None, price.region)]
    if not prices or market == "spot":
        return Offer(nan, region or "", market, "")
    return Offer(prices[0].usd_per_hour, prices[0].region, market, str(prices[0].as_of))


def regions(types: Types) -> set[str]:
    """The regions in which some price is known."""
    of_catalog = {price.region for entry in catalog.instance_types().values() for price in entry.prices}
    return of_catalog | {facts.region for facts in types.values()}
