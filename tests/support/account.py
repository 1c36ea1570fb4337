"""The stack for AWS, and an account of the emulated cloud in which it was created."""

from __future__ import annotations

import ast
import json
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

import sparsebench.fleet
from sparsebench.localcloud import LocalCloud
from sparsebench.settings import Settings

STACK = Path(sparsebench.fleet.__file__).with_name("stack.yaml")
REGION = "us-east-1"

Keys = dict[str, str]


class _Loader(yaml.SafeLoader):
    """Takes CloudFormation's short functions as they are written."""


def _short(loader: _Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: node.value}


_Loader.add_multi_constructor("!", _short)
TEMPLATE: Any = yaml.load(STACK.read_text(), _Loader)  # noqa: S506 - a safe loader


class Account:
    """An account in which an administrator has created the stack, and what is in it for the tests:

    ``airflow``: keys of a user with nothing but the stack's policy. ``instance``: one of the project's, launched by
    that user. ``untagged``: somebody else's.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.url = cloud.url
        self.iam = self.client("iam", cloud.keys.boto3)
        everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        self.admin = self.user("admin", everything)
        self.ec2, self.ssm = self.client("ec2", self.admin), self.client("ssm", self.admin)
        self.vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        self.outputs = self._create()
        self.policy = self._document(self.outputs["AirflowPolicy"])
        (self.role,) = [role["RoleName"] for role in self.iam.list_roles()["Roles"]]
        inline = self.iam.get_role_policy(RoleName=self.role, PolicyName="instance")["PolicyDocument"]
        self.role_policy = ast.literal_eval(inline)  # moto does not answer with JSON here
        self.trust = self.iam.get_role(RoleName=self.role)["Role"]["AssumeRolePolicyDocument"]
        self.airflow = self.user("airflow")
        self.iam.attach_user_policy(UserName="airflow", PolicyArn=self.outputs["AirflowPolicy"])
        self.image = self.ssm.get_parameter(Name=Settings().image)["Parameter"]["Value"]
        self.settings = Settings(
            store=self.outputs["SPARSEBENCH_STORE"],
            instance_profile=self.outputs["SPARSEBENCH_INSTANCE_PROFILE"],
            security_group=self.outputs["SPARSEBENCH_SECURITY_GROUP"],
            launch_template=self.outputs["SPARSEBENCH_LAUNCH_TEMPLATE"],
        )
        self.bucket = self.settings.store.split("/")[2]

    def client(self, service: str, keys: Keys, **config: Any) -> Any:
        made = Config(retries={"max_attempts": 0}, **config)
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, config=made, **keys)  # type: ignore[call-overload]

    def user(self, name: str, document: dict[str, Any] | None = None) -> Keys:
        """Access keys of a new user."""
        self.iam.create_user(UserName=name)
        if document:
            arn = self.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
            self.iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def _create(self) -> dict[str, str]:
        """The stack's outputs, by environment variable."""
        formation = self.client("cloudformation", self.admin)
        lists = ("InstanceTypes", "ImageOwner")  # moto splits only what it is given
        given = {"VpcId": self.vpc} | {name: TEMPLATE["Parameters"][name]["Default"] for name in lists}
        parameters: Any = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        formation.create_stack(StackName="sparsebench", TemplateBody=STACK.read_text(), Parameters=parameters)
        (stack,) = formation.describe_stacks(StackName="sparsebench")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        return {
            out["Description"] if out["Description"].startswith("SPARSEBENCH_") else out["OutputKey"]: out[
                "OutputValue"
            ]
            for out in stack["Outputs"]
        }

    def _document(self, arn: str) -> dict[str, Any]:
        version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        assert isinstance(document, dict)
        return document

    def launch(self, keys: Keys, config: dict[str, Any]) -> str:
        launched = self.client("ec2", keys).run_instances(ImageId=self.image, MinCount=1, MaxCount=1, **config)
        return str(launched["Instances"][0]["InstanceId"])

    def instance_keys(self, instance_id: str) -> Keys:
        """What the metadata service of an instance hands out."""
        metadata = f"{self.cloud.of_instance(instance_id, 'imds')}/latest"
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = {"X-aws-ec2-metadata-token": read(f"{metadata}/api/token", ttl, "PUT")}
        credentials = json.loads(read(f"{metadata}/meta-data/iam/security-credentials/{self.role}", token))
        if credentials["Code"] != "Success":
            raise PermissionError(credentials["Code"])
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["Token"],
        }

    def is_online(self, instance_id: str, keys: Keys) -> bool:
        filters: Any = [{"Key": "InstanceIds", "Values": [instance_id]}]
        information = self.client("ssm", keys).describe_instance_information(Filters=filters)["InstanceInformationList"]
        return any(info["PingStatus"] == "Online" for info in information)


def read(url: str, headers: dict[str, str], method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as response:
        return str(response.read().decode())
