"""The instance types of the nightly sweep, and what their instances are launched with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from sparsebench.contracts import InstanceFacts, Job
from sparsebench.doctor.findings import Finding, Found, Patient, ask, dry
from sparsebench.errors import BadInput
from sparsebench.fleet import instances
from sparsebench.fleet.instance_types import PRICING_REGION, Account, choose, in_words
from sparsebench.store import Store


def types(patient: Patient) -> tuple[dict[str, InstanceFacts], list[Finding]]:
    """What AWS says of each instance type that is asked for every night, by name, and what is found of them. Those of
    this machine are not among them."""
    account = Account(patient.region, lambda: patient.client("ec2"), lambda: patient.client("pricing", PRICING_REGION))
    known: dict[str, InstanceFacts] = {}
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:  # what AWS says is not to be kept: an examination reads only
        for word in patient.settings.nightly_instance_types:
            try:
                known |= choose(Store(Path(folder).as_uri()), account, [word], patient.now).types
            except BadInput as error:
                todo = "correct SPARSEBENCH_NIGHTLY_INSTANCE_TYPES"
                findings.append(Finding("instance type", "wrong", str(error), todo))
    of_ec2 = {name: facts for name, facts in known.items() if facts.vcpus is not None}
    findings = [*map(_type, of_ec2.values()), *findings]
    none = "this machine only: nothing is launched on EC2 by itself"
    return of_ec2, findings or [Finding("instance type", "right", none)]


def _type(facts: InstanceFacts) -> Finding:
    told = f"{facts.name}: {in_words(facts)}"
    if facts.usd_per_hour is None:
        todo = "let Airflow ask for prices (pricing:GetProducts), or add it to the catalog"
        return Finding("instance type", "wrong", told, todo)
    return Finding("instance type", "right", told)


def findings(patient: Patient, types: Mapping[str, InstanceFacts]) -> Found:
    """What instances are launched with.

    Args:
        types: that are asked for every night, by name.
    """
    images: dict[str, str] = {}  # by architecture
    for architecture in ["x86_64", *sorted({facts.architecture for facts in types.values()} - {"x86_64"})]:
        yield _image(patient, architecture, images)
    yield from _launched_with(patient)
    name, facts = next(iter(types.items()), ("m5.large", None))
    architecture = facts.architecture if facts else "x86_64"
    if architecture in images:
        yield _may_launch(patient, name, images[architecture])


def _image(patient: Patient, architecture: str, images: dict[str, str]) -> Finding:
    """Whether the image for an architecture is there; its id comes to ``images``."""
    what, variable = ("image", "SPARSEBENCH_IMAGE")
    configured = patient.settings.image
    if architecture == "arm64":
        what, variable, configured = "image for arm64", "SPARSEBENCH_ARM_IMAGE", patient.settings.arm_image

    def is_there() -> Finding:
        image = configured
        if not image.startswith("ami-"):
            image = patient.client("ssm").get_parameter(Name=image)["Parameter"]["Value"]
        images[architecture] = image
        described = patient.client("ec2").describe_images(ImageIds=[image])["Images"]
        if not described:
            return Finding(what, "wrong", f"{image} is gone", f"set {variable} to one that is there")
        (ami,) = described
        if ami.get("State") != "available" or ami.get("Architecture") != architecture:
            told = f"{image} is {ami.get('State')}, for {ami.get('Architecture')}"
            return Finding(what, "wrong", told, f"set {variable} to one for {architecture}")
        return Finding(what, "right", f"{image} ({ami.get('Name', 'without a name')})")

    return ask(what, is_there, f"set {variable} to an AMI of this region, or to a public parameter")


def _launched_with(patient: Patient) -> Found:
    settings = patient.settings
    ec2 = patient.client("ec2")

    def profile() -> Finding:
        answer = patient.client("iam").get_instance_profile(InstanceProfileName=settings.instance_profile)
        roles = [role["RoleName"] for role in answer["InstanceProfile"]["Roles"]]
        if not roles:
            return Finding("instance profile", "wrong", f"{settings.instance_profile} has no role", "add the stack's")
        return Finding("instance profile", "right", f"{settings.instance_profile}, with the role {roles[0]}")

    def template() -> Finding:
        templates = ec2.describe_launch_templates(LaunchTemplateIds=[settings.launch_template])["LaunchTemplates"]
        if not templates:
            todo = "set SPARSEBENCH_LAUNCH_TEMPLATE to what the stack puts out"
            return Finding("launch template", "wrong", f"{settings.launch_template} is not there", todo)
        return Finding("launch template", "right", f"{settings.launch_template} ({templates[0]['LaunchTemplateName']})")

    def group() -> Finding:
        (security_group,) = ec2.describe_security_groups(GroupIds=[settings.security_group])["SecurityGroups"]
        if security_group["IpPermissions"]:
            todo = "remove its ingress: nobody has to get in"
            return Finding("security group", "wrong", f"{settings.security_group} lets others in", todo)
        return Finding("security group", "right", f"{settings.security_group}, in {security_group.get('VpcId')}")

    if settings.instance_profile:
        yield ask("instance profile", profile, "set SPARSEBENCH_INSTANCE_PROFILE to what the stack puts out")
    elif not settings.launch_template:
        todo = "set SPARSEBENCH_INSTANCE_PROFILE to what the stack puts out"
        yield Finding("instance profile", "wrong", "none: no instance takes commands, or reaches the store", todo)
    if settings.launch_template:
        yield ask("launch template", template, "set SPARSEBENCH_LAUNCH_TEMPLATE to what the stack puts out")
    if settings.security_group:
        yield ask("security group", group, "set SPARSEBENCH_SECURITY_GROUP to what the stack puts out")


def _may_launch(patient: Patient, name: str, image: str) -> Finding:
    """A dry run of the launch that a sweep makes, of the smallest job."""
    todo = "the message says what is refused; docs/aws.md has the statement that it takes"
    settings = patient.settings
    job = Job(
        job="doctor",
        dag_id="doctor",
        run_id="doctor",
        label="doctor",
        instance_type=name,
        image=image,
        module="bench",
        lock="0" * 64,
        payload="0" * 64,
        request="none",
        max_minutes=1,
    )
    ec2 = patient.client("ec2")
    try:
        subnet = settings.subnets[0] if settings.subnets else None
        zone = "" if subnet else ec2.describe_subnets()["Subnets"][0]["AvailabilityZone"]
        config = instances.launch_config(job, settings, "on_demand", zone, subnet, "doctor")
        with dry():
            ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, DryRun=True, **config)
    except ClientError as error:
        refusal = error.response["Error"]
        return Finding("may: launch", "wrong", f"{refusal['Code']}: {refusal['Message']}", todo)
    except (BotoCoreError, LookupError) as error:
        return Finding("may: launch", "wrong", str(error), todo)
    return Finding("may: launch", "right", f"a dry run of a {name} would have succeeded")
