"""A price list of the emulated cloud's own: like AWS's in its order of magnitude, and the same at any time.

What AWS's list said of the types that the catalog has is taken from there, where it was copied; of others the price
is by the family's letter and the vCPUs, and made up.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from werkzeug import Response

_LISTED = {
    "t3.xlarge": 0.1664,
    "c4.xlarge": 0.199,
    "m6a.xlarge": 0.1728,
    "m5.xlarge": 0.192,
    "m5n.xlarge": 0.238,
    "m7i.xlarge": 0.2016,
    "g4dn.xlarge": 0.526,
}
"""USD an hour, Linux, on demand, in us-east-1."""

_OF_VCPU = {"c": 0.045, "m": 0.05, "r": 0.066, "t": 0.042}
_OF_OTHER_VCPU = 0.15
_ELSEWHERE = 1.2
_SPOT = 0.35

Fields = dict[str, Any]


def on_demand(instance_type: str, region: str) -> float | None:
    """The price in USD an hour; None: the region does not have the type."""
    if instance_type not in INSTANCE_TYPES or not is_offered(instance_type, region):
        return None
    vcpus = int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])
    usd = _LISTED.get(instance_type, vcpus * _OF_VCPU.get(instance_type[0], _OF_OTHER_VCPU))
    return round(usd * (1 if region == "us-east-1" else _ELSEWHERE), 4)


def spot(instance_type: str, region: str) -> float | None:
    usd = on_demand(instance_type, region)
    return None if usd is None else round(usd * _SPOT, 4)


def is_offered(instance_type: str, region: str) -> bool:
    offers = INSTANCE_TYPE_OFFERINGS["region"].get(region, [])
    return any(offer["InstanceType"] == instance_type for offer in offers)


def get_products(body: Fields) -> Response:
    """The answer of the Pricing API to a call whose filters name one type in one region."""
    wanted = {item["Field"]: item["Value"] for item in body.get("Filters", [])}
    region, instance_type = wanted.get("regionCode", ""), wanted.get("instanceType", "")
    usd = on_demand(instance_type, region)
    is_listed = body.get("ServiceCode") == "AmazonEC2" and wanted.get("operatingSystem") == "Linux" and usd is not None
    answer = {"FormatVersion": "aws_v1", "PriceList": [_product(instance_type, region, usd)] if is_listed else []}
    return Response(json.dumps(answer), content_type="application/x-amz-json-1.1")


def _product(instance_type: str, region: str, usd: float | None) -> str:
    sku = f"LOCAL{DEFAULT_ACCOUNT_ID[:4]}{instance_type}"
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{usd:.10f}"}, "beginRange": "0", "endRange": "Inf"}
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "sku": sku,
                "attributes": {
                    "instanceType": instance_type,
                    "regionCode": region,
                    "operatingSystem": "Linux",
                    "tenancy": "Shared",
                    "preInstalledSw": "NA",
                    "capacitystatus": "Used",
                },
            },
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {f"{sku}.T": {"priceDimensions": {f"{sku}.T.H": dimension}, "sku": sku}}},
        }
    )
