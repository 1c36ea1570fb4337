"""Which instance types a run goes on: by name or pattern, with what EC2 says that each has and costs in the region.

Facts come by DescribeInstanceTypes, prices by the Pricing API and the spot history. They are kept in the store, with
their date; where AWS cannot be asked, what is kept serves, and then the catalog.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from sparsebench import catalog
from sparsebench.contracts import SURPLUS_USD, InstanceFacts
from sparsebench.errors import BadInput
from sparsebench.store import Store

log = logging.getLogger(__name__)

FRESH = timedelta(days=7)
"""For so long AWS is not asked again: prices change a few times a year."""

MOST = 100
"""Types of a run. A pattern that means more is a slip; and EC2 takes 200 values of a filter."""

PRICING_REGION = "us-east-1"
"""Where the Pricing API is, whatever region it is asked about."""

ARCHITECTURES = ("x86_64", "arm64")
"""Of instances that measure, as EC2 names them. What trains is for the first alone."""

WORD = r"^[A-Za-z0-9*?][A-Za-z0-9.*?-]{0,63}$"
"""What a name or a pattern looks like."""


@dataclass(frozen=True)
class Account:
    """Who can be asked. The clients are made when they are needed: a run on this machine needs neither.

    ec2: of the region. pricing: of PRICING_REGION.
    """

    region: str
    ec2: Callable[[], Any]
    pricing: Callable[[], Any]


class Chosen(NamedTuple):
    """types: in the order in which they were asked for. lines: what patterns mean, and what of them is left out."""

    types: Mapping[str, InstanceFacts]
    lines: tuple[str, ...]


def choose(
    store: Store,
    account: Account,
    wanted: Sequence[str],
    now: datetime,
    param: str = "instance_types",
    training: bool = False,
) -> Chosen:
    """
    Args:
        wanted: names, and patterns as EC2's filters have them: * and ?.
        param: that they were given in.
        training: whether it is to train, for which a type with a GPU will do, and not to measure.

    Raises:
        BadInput: EC2 does not have it, nothing can be done on it, or AWS cannot be asked and nobody else knows.
    """
    for word in wanted:
        if not re.fullmatch(WORD, word):
            raise BadInput(f"{param}: {word!r} is no instance type; expected a name such as m7i.xlarge, or a pattern")
        if wanted.count(word) > 1:
            raise BadInput(f"{param}: {word!r} is given twice; give each once")
    known = _told(store, account, wanted, now, param)
    types: dict[str, InstanceFacts] = {}
    lines = []
    for word in wanted:
        if not _is_pattern(word):
            if reason := unfit(known[word], training):
                raise BadInput(f"{param}: {word!r} {reason}")
            types[word] = known[word]
            continue
        of_ec2 = [name for name, facts in known.items() if facts.vcpus is not None]
        means = sorted(fnmatch.filter(of_ec2, word), key=_by_size)
        fit = [name for name in means if not unfit(known[name], training)]
        left_out = _left_out({name: unfit(known[name], training) for name in means if name not in fit})
        if not fit:
            why = "; ".join(left_out) or "EC2 offers none of such a name"
            raise BadInput(f"{param}: {word!r} means no type that can be used in {account.region}: {why}")
        types |= {name: known[name] for name in fit}
        lines.append("; ".join([f"{word} is {', '.join(fit)}", *(f"without {each}" for each in left_out)]))
    if len(types) > MOST:
        raise BadInput(f"{param}: {', '.join(wanted)} is {len(types)} types; ask for {MOST} at most")
    return Chosen(types, tuple(lines))


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    """The names that have a reason in common, and the reason."""
    return [
        f"{', '.join(name for name in reasons if reasons[name] == reason)} ({reason})"
        for reason in dict.fromkeys(reasons.values())
    ]


def unfit(facts: InstanceFacts, training: bool = False) -> str:
    """Why a type cannot measure, or train; empty: it can."""
    if training and facts.architecture != "x86_64":
        return f"is of the architecture {facts.architecture}, and what trains is for x86_64"
    if facts.architecture not in ARCHITECTURES:
        return f"is of the architecture {facts.architecture}, and engines and images are for {', '.join(ARCHITECTURES)}"
    if facts.gpu and not training:
        return "has a GPU: it is for training, with sparsify; no sweep measures on it"
    return ""


def of_catalog(name: str, region: str) -> InstanceFacts | None:
    """What the catalog says; None: it has no such type."""
    entry = catalog.instance_types().get(name)
    if entry is None:
        return None
    price = next((price for price in entry.prices if price.region == region), None)
    threads = entry.vcpus // entry.cores if entry.vcpus and entry.cores else 0
    return InstanceFacts(
        name=name,
        region=region,
        source="catalog",
        as_of=max((price.as_of for price in entry.prices), default=None),
        vcpus=entry.vcpus,
        cores=entry.cores,
        threads_per_core=tuple(range(1, threads + 1)),
        memory_gib=entry.memory_gib,
        burstable=entry.burstable,
        gpu=entry.gpu,
        usd_per_hour=0 if entry.vcpus is None else price.usd_per_hour if price else None,
        usd_as_of=price.as_of if price else None,
    )


def of_name(name: str, region: str, param: str) -> InstanceFacts:
    """What the catalog says, where AWS was not asked.

    Raises:
        BadInput: it does not have it.
    """
    facts = of_catalog(name, region)
    if facts is None:
        raise BadInput(f"{param}: {name!r} is not one of {', '.join(sorted(catalog.instance_types()))}")
    return facts


def in_words(facts: InstanceFacts) -> str:
    """What a type has and costs, and since when that is known."""
    cores = f", {facts.cores} cores" if facts.cores else ""
    memory = f", {facts.memory_gib:g} GiB" if facts.memory_gib else ""
    if facts.usd_per_hour is None:
        cost = f"no price is known in {facts.region}"
    else:
        cost = f"{facts.usd_per_hour:g} USD/h on demand in {facts.region} as of {facts.usd_as_of}"
    surplus = (
        f", and {facts.vcpus} x {SURPLUS_USD} for surplus credits" if facts.burstable and facts.usd_per_hour else ""
    )
    spot = f", spot from {facts.spot_usd_per_hour:g}" if facts.spot_usd_per_hour is not None else ""
    source = ", by the catalog" if facts.source == "catalog" else ""
    arm = ", arm64" if facts.architecture == "arm64" else ""
    return f"{facts.vcpus} vCPUs{cores}{memory}{arm}; {cost}{surplus}{spot}{source}"


def _by_size(name: str) -> tuple[str, int, str]:
    family, _, size = name.partition(".")
    number = re.match(r"\d+", size)
    return family, int(number[0]) if number else 0, size


def _is_pattern(word: str) -> bool:
    return "*" in word or "?" in word


def _told(store: Store, account: Account, wanted: Sequence[str], now: datetime, param: str) -> dict[str, InstanceFacts]:
    """What is known of each name and of all that patterns mean; AWS is asked for what is not known, or is old.

    Raises:
        BadInput: EC2 does not have it, or cannot be asked and nobody else knows.
    """
    this_machine = {
        name: facts for name in wanted if (facts := of_catalog(name, account.region)) and facts.vcpus is None
    }
    if len(this_machine) == len(wanted):
        return this_machine
    kept = store.instance_facts(account.region)
    fresh = {name: facts for name, facts in kept.items() if facts.as_of and now.date() - facts.as_of <= FRESH}
    known = this_machine | {name: facts for name, facts in fresh.items() if name in wanted}
    ask = [word for word in wanted if word not in known]
    if not ask:
        return known
    try:
        ec2 = account.ec2()
        described = {info["InstanceType"]: info for info in _described(ec2, ask)}
        missing = [word for word in ask if not _is_pattern(word) and word not in described]
        if missing:
            raise BadInput(f"{param}: {_not_offered(ec2, missing[0], account.region)}")
    except (BotoCoreError, ClientError) as error:
        return known | _without_aws(kept, account.region, ask, param, error)
    if len(described) > 2 * MOST:
        raise BadInput(f"{param}: {', '.join(ask)} is {len(described)} types; ask for {MOST} at most")
    known |= {name: fresh[name] for name in described if name in fresh}
    new = [info for name, info in described.items() if name not in known]
    spot = _spot_prices(ec2, [info["InstanceType"] for info in new], now)
    for info in new:
        facts = _facts(account, info, spot.get(info["InstanceType"]), now)
        known[facts.name] = facts
        if facts.usd_as_of == facts.as_of:  # AWS has said everything
            store.put_instance_facts(facts)
    return known


def _described(ec2: Any, patterns: Sequence[str]) -> Iterator[dict[str, Any]]:
    filters = [{"Name": "instance-type", "Values": list(patterns)}]
    for page in ec2.get_paginator("describe_instance_types").paginate(Filters=filters):
        yield from page["InstanceTypes"]


def _not_offered(ec2: Any, name: str, region: str) -> str:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="region")
    names = sorted({offer["InstanceType"] for page in pages for offer in page["InstanceTypeOfferings"]})
    near = get_close_matches(name.lower(), names, n=4, cutoff=0.5)
    return f"{name!r} is not offered in {region}" + (f"; near are {', '.join(near)}" if near else "")


def _facts(account: Account, info: Mapping[str, Any], spot: float | None, now: datetime) -> InstanceFacts:
    name, cpus = info["InstanceType"], info["VCpuInfo"]
    architectures = info["ProcessorInfo"]["SupportedArchitectures"]
    gpus = info.get("GpuInfo", {}).get("Gpus", [])
    facts = InstanceFacts(
        name=name,
        region=account.region,
        source="aws",
        as_of=now.date(),
        vcpus=cpus["DefaultVCpus"],
        cores=cpus.get("DefaultCores"),
        threads_per_core=tuple(cpus.get("ValidThreadsPerCore", [])),
        memory_gib=info["MemoryInfo"]["SizeInMiB"] / 1024,
        architecture="x86_64" if "x86_64" in architectures else architectures[0],
        burstable=info.get("BurstablePerformanceSupported", False),
        gpu=any(gpu.get("Manufacturer") == "NVIDIA" for gpu in gpus),
        spot_usd_per_hour=spot,
    )
    if unfit(facts) and unfit(facts, training=True):
        return facts  # what it costs is of no interest
    try:
        price = {"usd_per_hour": on_demand_usd(account.pricing(), name, account.region), "usd_as_of": now.date()}
    except (BotoCoreError, ClientError, LookupError, ValueError) as error:
        log.warning("AWS does not say what %s costs: the catalog serves: %s", name, error)
        price = {"usd_per_hour": None}
    if price["usd_per_hour"] is None:
        fallback = of_catalog(name, account.region)
        price = {"usd_per_hour": fallback.usd_per_hour, "usd_as_of": fallback.usd_as_of} if fallback else {}
    return facts.model_copy(update=price)


def on_demand_usd(pricing: Any, name: str, region: str) -> float | None:
    """The price in USD an hour, Linux, shared tenancy; None: the price list does not have it.

    Raises:
        LookupError, ValueError: the answer is not what the Pricing API's documentation says.
    """
    wanted = {
        "instanceType": name,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    answer = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters)
    prices = [
        float(dimension["pricePerUnit"]["USD"])
        for product in map(json.loads, answer["PriceList"])
        for offer in product["terms"].get("OnDemand", {}).values()
        for dimension in offer["priceDimensions"].values()
        if dimension["unit"] == "Hrs"
    ]
    return max(prices, default=None)


def _spot_prices(ec2: Any, names: Sequence[str], now: datetime) -> dict[str, float]:
    """The price in USD an hour in the cheapest zone, by type; those that have none, or cannot be read, are not
    there."""
    cheapest: dict[str, float] = {}
    try:
        pages = ec2.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=list(names), ProductDescriptions=["Linux/UNIX"], StartTime=now
        )
        for price in (price for page in pages for price in page["SpotPriceHistory"]):
            name, usd = price["InstanceType"], float(price["SpotPrice"])
            cheapest[name] = min(usd, cheapest.get(name, usd))
    except (BotoCoreError, ClientError) as error:
        log.warning("spot prices cannot be read: %s", error)
    return cheapest


def _without_aws(
    kept: Mapping[str, InstanceFacts], region: str, ask: Sequence[str], param: str, error: Exception
) -> dict[str, InstanceFacts]:
    """What was kept, however old, or is in the catalog.

    Raises:
        BadInput: nobody knows.
    """
    log.warning("AWS does not say what instance types there are: what is kept and the catalog serve: %s", error)
    of_ec2 = [entry.name for entry in catalog.instance_types().values() if entry.vcpus is not None]
    known = {name: facts for name in of_ec2 if (facts := of_catalog(name, region))} | dict(kept)
    means = {word: fnmatch.filter(known, word) for word in ask}
    if unknown := next((word for word in ask if not means[word]), None):
        raise BadInput(
            f"{param}: {unknown!r} is not one of {', '.join(sorted(known))}, which the store and the catalog know, and "
            f"AWS does not say whether it has it: {error}"
        )
    return {name: known[name] for names in means.values() for name in names}
