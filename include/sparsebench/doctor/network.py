"""Where instances are launched, in which zones each type is offered, and their way out to SSM, S3 and packages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sparsebench.doctor.findings import Finding, Found, Patient, ask

ENDPOINTS = ("ssm", "ssmmessages", "s3")
"""VPC endpoints by which a subnet does without a way out, but for what is installed from a registry."""


def findings(patient: Patient, types: Sequence[str]) -> Found:
    if not types:
        return
    ec2 = patient.client("ec2")
    subnets: list[dict[str, Any]] = []

    def there() -> Finding:
        if patient.settings.subnets:
            subnets.extend(ec2.describe_subnets(SubnetIds=list(patient.settings.subnets))["Subnets"])
            zones = [subnet["AvailabilityZone"] for subnet in subnets]
            if len(zones) != len(set(zones)):
                todo = "set SPARSEBENCH_SUBNETS to one subnet for each zone"
                return Finding("subnets", "wrong", f"two are in one zone: {', '.join(sorted(zones))}", todo)
        else:
            default = [{"Name": "default-for-az", "Values": ["true"]}]
            subnets.extend(ec2.describe_subnets(Filters=default)["Subnets"])
            if not subnets:
                todo = "set SPARSEBENCH_SUBNETS to one subnet for each zone"
                return Finding("subnets", "wrong", "there is no default VPC", todo)
        return Finding("subnets", "right", ", ".join(sorted(subnet["AvailabilityZone"] for subnet in subnets)))

    yield ask("subnets", there, "set SPARSEBENCH_SUBNETS to subnets of this region")
    if not subnets:
        return
    zones = {subnet["AvailabilityZone"] for subnet in subnets}
    for name in types:
        yield ask("zones", partial(_zones, ec2, name, zones), "see where EC2 offers the type")
    for subnet in sorted(subnets, key=lambda subnet: str(subnet["AvailabilityZone"])):
        yield ask("way out", partial(_way_out, ec2, subnet), "see the subnet's route table")


def _zones(ec2: Any, name: str, zones: set[str]) -> Finding:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [name]}]
    )
    where = {offer["Location"] for page in pages for offer in page["InstanceTypeOfferings"]}
    if where & zones:
        return Finding("zones", "right", f"{name}: {', '.join(sorted(where & zones))}")
    todo = f"add a subnet in {', '.join(sorted(where))}" if where else "choose another type"
    return Finding("zones", "wrong", f"{name} is offered in none of {', '.join(sorted(zones))}", todo)


def _way_out(ec2: Any, subnet: dict[str, Any]) -> Finding:
    name, vpc = f"{subnet['SubnetId']} ({subnet['AvailabilityZone']})", subnet["VpcId"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    own = [table for table in tables if any(a.get("SubnetId") == subnet["SubnetId"] for a in table["Associations"])]
    main = [table for table in tables if any(a.get("Main") for a in table["Associations"])]
    routes = [route for table in own or main for route in table["Routes"]]
    default = [route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if any(route.get("NatGatewayId") or route.get("TransitGatewayId") for route in default):
        return Finding("way out", "right", f"{name}: by a NAT or transit gateway")
    if any(route.get("GatewayId", "").startswith("igw-") for route in default):
        if subnet.get("MapPublicIpOnLaunch"):
            return Finding("way out", "right", f"{name}: by an internet gateway")
        todo = "let it give public addresses (MapPublicIpOnLaunch), or route it through a NAT gateway"
        return Finding("way out", "wrong", f"{name}: an internet gateway, but no public addresses", todo)
    endpoints = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]
    services = {endpoint["ServiceName"].rpartition(".")[2] for endpoint in endpoints}
    if missing := [service for service in ENDPOINTS if service not in services]:
        todo = f"route 0.0.0.0/0 to an internet or NAT gateway, or add VPC endpoints of {', '.join(missing)}"
        return Finding("way out", "wrong", f"{name}: none, so that no SSM agent comes online", todo)
    told = f"{name}: by VPC endpoints; what is installed has to come from elsewhere than a public registry"
    return Finding("way out", "right", told)
