"""What EC2 says of instance types and their prices, and what it refuses of a launch."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud

from .conftest import User


def test_types_are_those_that_ec2_has_by_name_or_pattern(user: User) -> None:
    filters: Any = [{"Name": "instance-type", "Values": ["m7i.xlarge", "t3.nano", "c8g.xlarge"]}]
    described = {
        item["InstanceType"]: item for item in user.ec2.describe_instance_types(Filters=filters)["InstanceTypes"]
    }
    assert set(described) == {"m7i.xlarge", "t3.nano", "c8g.xlarge"}
    assert described["m7i.xlarge"]["VCpuInfo"]["DefaultCores"] == 2
    assert described["c8g.xlarge"]["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]

    filters = [{"Name": "instance-type", "Values": ["m7*.xlarge"]}]
    names = {item["InstanceType"] for item in user.ec2.describe_instance_types(Filters=filters)["InstanceTypes"]}
    assert {"m7a.xlarge", "m7i.xlarge", "m7g.xlarge"} <= names
    assert all(name.startswith("m7") and name.endswith(".xlarge") for name in names)


def test_the_price_list_says_what_a_type_costs_in_a_region(localcloud: LocalCloud) -> None:
    pricing = boto3.client("pricing", region_name="us-east-1")

    def usd(name: str, region: str) -> list[float]:
        wanted = {"instanceType": name, "regionCode": region, "operatingSystem": "Linux"}
        filters: Any = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        products = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
        return [
            float(dimension["pricePerUnit"]["USD"])
            for product in map(json.loads, products)
            for offer in product["terms"]["OnDemand"].values()
            for dimension in offer["priceDimensions"].values()
        ]

    assert usd("m7i.xlarge", "us-east-1") == [0.2016]
    assert usd("m7i.xlarge", "eu-central-1") == [pytest.approx(0.2419)]
    assert usd("z9.huge", "us-east-1") == []


def test_spot_prices_are_lower(user: User) -> None:
    history = user.ec2.describe_spot_price_history(InstanceTypes=["m7i.xlarge"])["SpotPriceHistory"]
    assert {float(price["SpotPrice"]) for price in history} == {0.0706}
    assert len({price["AvailabilityZone"] for price in history}) > 1


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceType": "z9.huge"}, "InvalidParameterValue"),
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "c8g.xlarge"}, "InvalidParameterValue"),  # an image for x86-64
        ({"IamInstanceProfile": {"Name": "nobodys"}}, "InvalidParameterValue"),
        ({"LaunchTemplate": {"LaunchTemplateId": "lt-00000000000000000"}}, "InvalidLaunchTemplateId.NotFound"),
        ({"LaunchTemplate": {"LaunchTemplateName": "nobodys"}}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"KeyName": "nobodys"}, "InvalidKeyPair.NotFound"),
        ({"UserData": "x" * 16_385}, "InvalidParameterValue"),
        ({"InstanceType": "m5.xlarge", "CpuOptions": {"CoreCount": 3, "ThreadsPerCore": 1}}, "InvalidParameterValue"),
        ({"InstanceType": "m7a.xlarge", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}, "InvalidParameterValue"),
        (
            {"InstanceType": "m5.xlarge", "Placement": {"AvailabilityZone": "us-east-1z"}},
            "Unsupported|InvalidParameterValue",
        ),
    ],
)
def test_a_launch_that_ec2_refuses_is_refused_with_its_code(user: User, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        user.run_instances(**asked)
    assert user.instances() == []
