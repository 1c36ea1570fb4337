"""Any instance type that EC2 offers can be asked for, by name or pattern, and what it costs is known before it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sparsebench import catalog
from sparsebench.contracts import InstanceFacts, ModelCard
from sparsebench.errors import BadInput
from sparsebench.fleet.instance_types import Account, Chosen, choose, in_words, of_catalog
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import Run, plan_sweep
from sparsebench.fleet.spending import table
from sparsebench.store import Store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, make_card: Callable[..., ModelCard]) -> Store:
    store = Store(tmp_path.as_uri())
    store.put_model_card(make_card(artifact=store.put_artifact(b"a network")))
    return store


def nobody() -> Any:
    raise EndpointConnectionError(endpoint_url="https://ec2.us-east-1.amazonaws.com")


def account(region: str = "us-east-1", **others: Callable[[], Any]) -> Account:
    clients: dict[str, Any] = {
        "ec2": lambda: boto3.client("ec2", region_name=region),
        "pricing": lambda: boto3.client("pricing", region_name="us-east-1"),
    }
    return Account(region, **(clients | others))


OFFLINE = account(ec2=nobody, pricing=nobody)


def chosen(store: Store, *wanted: str, who: Account | None = None, now: datetime = NOW) -> Chosen:
    return choose(store, who or account(), wanted, now)


@pytest.mark.usefixtures("localcloud")
def test_a_type_that_the_catalog_does_not_have_is_known_with_its_price(store: Store) -> None:
    assert "m8i.large" not in catalog.instance_types()

    facts = chosen(store, "m8i.large").types["m8i.large"]

    assert (facts.vcpus, facts.cores, facts.memory_gib, facts.architecture) == (2, 1, 8, "x86_64")
    assert (facts.usd_per_hour, facts.usd_as_of, facts.source) == (0.1, NOW.date(), "aws")
    assert facts.spot_usd_per_hour == pytest.approx(0.035)


@pytest.mark.usefixtures("localcloud")
def test_cores_and_threads_are_what_ec2_says(store: Store) -> None:
    types = chosen(store, "m7a.xlarge", "m7i.xlarge", "t3.xlarge").types
    assert (types["m7a.xlarge"].cores, types["m7a.xlarge"].single_thread_cores) == (4, None)  # a thread a core
    assert (types["m7i.xlarge"].cores, types["m7i.xlarge"].single_thread_cores) == (2, 2)
    assert [types[name].burstable for name in ("m7i.xlarge", "t3.xlarge")] == [False, True]


@pytest.mark.usefixtures("localcloud")
def test_a_price_is_that_of_the_region(store: Store) -> None:
    home, away = (chosen(store, "m7i.xlarge", who=account(region)) for region in ("us-east-1", "eu-central-1"))
    prices = [catalog.types["m7i.xlarge"].usd_per_hour for catalog in (home, away)]
    assert prices == [0.2016, pytest.approx(0.2419)]


@pytest.mark.usefixtures("localcloud")
def test_a_pattern_is_every_type_that_can_be_used_and_says_what_is_left_out(store: Store) -> None:
    on = chosen(store, "localhost", "m7*.xlarge")

    assert next(iter(on.types)) == "localhost"
    assert {"m7a.xlarge", "m7g.xlarge", "m7i.xlarge"} <= set(on.types)
    (line,) = on.lines
    assert line.startswith("m7*.xlarge is m7a.xlarge, ")
    facts = on.types["m7g.xlarge"]
    assert (facts.architecture, facts.cores, facts.single_thread_cores) == ("arm64", 4, None)
    assert facts.usd_per_hour
    assert ", arm64; " in in_words(facts)


@pytest.mark.usefixtures("localcloud")
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("m7x.xlarge", r"instance_types: 'm7x\.xlarge' is not offered in us-east-1; near are .*m7\w+\.xlarge"),
        ("M7i.xlarge", r"'M7i\.xlarge' is not offered in us-east-1; near are m7i\.xlarge"),
        ("z9*.huge", r"'z9\*\.huge' means no type that can be used in us-east-1: EC2 offers none"),
        ("mac2.metal", r"'mac2\.metal' is of the architecture arm64_mac"),
        (
            "mac*",
            r"'mac\*' means no type that can be used in us-east-1: .* \(is of the architecture x86_64_mac",
        ),
        ("g5g.xlarge", r"'g5g\.xlarge' has a GPU"),
        ("g4dn.xlarge", r"'g4dn\.xlarge' has a GPU"),
        ("m7i xlarge", r"'m7i xlarge' is no instance type"),
        ("*", r"\* is \d+ types; ask for 100 at most"),
    ],
)
def test_what_cannot_be_measured_on_is_refused_in_a_line(store: Store, word: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        chosen(store, word)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("localcloud")
@pytest.mark.parametrize("name", ["c8g.xlarge", "g5g.xlarge"])
def test_what_trains_is_refused_on_graviton(store: Store, name: str) -> None:
    with pytest.raises(BadInput, match="is of the architecture arm64, and what trains is for x86_64"):
        choose(store, account(), [name], NOW, "instance_type", training=True)


def test_this_machine_asks_nobody(store: Store) -> None:
    on = chosen(store, "localhost", who=OFFLINE)
    assert on.types["localhost"].usd_per_hour == 0
    with pytest.raises(BadInput, match="given twice"):
        chosen(store, "localhost", "localhost", who=OFFLINE)


@pytest.mark.usefixtures("localcloud")
def test_what_aws_has_said_is_kept_for_a_week_and_serves_longer_where_it_cannot_be_asked(store: Store) -> None:
    first = chosen(store, "m8i.large").types["m8i.large"]
    assert chosen(store, "m8i.large", who=OFFLINE, now=NOW + timedelta(days=7)).types["m8i.large"] == first

    month = NOW + timedelta(days=30)
    assert chosen(store, "m8i.large", who=OFFLINE, now=month).types["m8i.large"] == first
    assert "as of 2026-11-24" in in_words(first)
    assert chosen(store, "m8i.large", now=month).types["m8i.large"].as_of == month.date()


def test_without_aws_the_catalog_serves_and_says_its_date(store: Store) -> None:
    facts = chosen(store, "m7i.xlarge", who=OFFLINE).types["m7i.xlarge"]
    assert facts == of_catalog("m7i.xlarge", "us-east-1")
    assert in_words(facts) == (
        "4 vCPUs, 2 cores, 16 GiB; 0.2016 USD/h on demand in us-east-1 as of 2025-01-15, by the catalog"
    )
    with pytest.raises(BadInput, match=r"'m8i\.large' is not one of .*m7i\.xlarge.*does not say.*Could not connect"):
        chosen(store, "m8i.large", who=OFFLINE)


@pytest.mark.usefixtures("localcloud")
def test_without_the_right_to_ask_for_prices_the_catalogs_serve_and_another_type_has_none(store: Store) -> None:
    def refused() -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetProducts")

    types = chosen(store, "m7i.xlarge", "m8i.large", who=account(pricing=refused)).types
    assert (types["m7i.xlarge"].usd_per_hour, str(types["m7i.xlarge"].usd_as_of)) == (0.2016, "2025-01-15")
    assert types["m8i.large"].usd_per_hour is None
    assert store.instance_facts("us-east-1") == {}  # so that it is asked for again


@pytest.mark.usefixtures("localcloud")
def test_a_night_keeps_what_its_types_cost_when_they_were_planned(store: Store) -> None:
    def plan(name: str, run: str, price: float | None = None) -> Any:
        on = chosen(store, name)
        types = {
            key: facts.model_copy(update={"usd_per_hour": price or facts.usd_per_hour})
            for key, facts in on.types.items()
        }
        run_of_sweep = Run("benchmark_sweep", run, "ami-1", budget_usd=10, types=types)
        return plan_sweep(store, Sweep((name,)), "2026-11-24", run_of_sweep, NOW, "quick")

    (first,) = plan("m8i.large", "r1").jobs
    plan("m7a.large", "r2")
    plan("m7a.large", "r3", price=9.0)
    plan("m8i.large", "r4", price=9.0)

    assert first.usd_per_hour == 0.1
    manifest = store.manifest("2026-11-24")
    assert [facts.name for facts in manifest.instance_types] == ["m8i.large"]
    kept = store.night_instance_facts(manifest)
    assert {name: facts.usd_per_hour for name, facts in kept.items()} == {"m8i.large": 0.1, "m7a.large": 0.1}
    assert manifest.digest == store.manifest("2026-11-24").digest


@pytest.mark.usefixtures("localcloud")
def test_what_is_planned_says_what_each_type_has_and_costs_and_holds_the_credits(store: Store) -> None:
    on = chosen(store, "t3.xlarge")
    run_of_sweep = Run("benchmark_sweep", "r1", "ami-1", budget_usd=10, types=on.types)
    planned = plan_sweep(store, Sweep(("t3.xlarge",)), "2026-11-24", run_of_sweep, NOW, "quick")

    (job,) = planned.jobs
    assert (job.burstable, job.single_thread_cores) == (True, 2)
    assert job.usd_per_hour == pytest.approx(0.1664 + 4 * 0.05)
    assert "4 vCPUs, 2 cores, 16 GiB; 0.1664 USD/h on demand in us-east-1 as of 2026-11-24" in table(planned.expected)
    assert "4 x 0.05 for surplus credits" in table(planned.expected)


def test_a_type_of_which_nobody_was_asked_is_the_catalogs(store: Store) -> None:
    facts = Run("benchmark_sweep", "r1", "ami-1").facts("m5.xlarge")
    assert isinstance(facts, InstanceFacts)
    with pytest.raises(BadInput, match=r"instance_type: 'z9\.huge'"):
        Run("benchmark_sweep", "r1", "ami-1").facts("z9.huge")
