"""The image is resolved before anything is launched; what is wrong with the account is one clear error."""

from __future__ import annotations

import boto3
import pytest

from sparsebench.contracts import InstanceFacts
from sparsebench.errors import BadInput
from sparsebench_airflow.image import images, resolve_image


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.usefixtures("localcloud")
def test_a_public_parameter_gives_an_image() -> None:
    assert resolve_image("image").startswith("ami-")


def test_an_image_id_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEBENCH_IMAGE", "ami-0123")
    assert resolve_image("image") == "ami-0123"


@pytest.mark.usefixtures("localcloud")
def test_an_unknown_parameter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEBENCH_IMAGE", "/no/such/parameter")
    with pytest.raises(BadInput, match="SPARSEBENCH_IMAGE is '/no/such/parameter'"):
        resolve_image("image")


@pytest.mark.usefixtures("localcloud")
def test_a_gpu_has_an_image_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="SPARSEBENCH_GPU_IMAGE is '/aws/service/deeplearning/"):
        resolve_image("gpu_image")  # localcloud has none
    monkeypatch.setenv("SPARSEBENCH_GPU_IMAGE", "ami-0124")
    assert resolve_image("gpu_image") == "ami-0124"
    assert resolve_image("image") != "ami-0124"


def test_missing_credentials_are_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(BadInput, match="AWS credentials: none found"):
        resolve_image("image")


@pytest.mark.usefixtures("localcloud")
def test_a_missing_region_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(BadInput, match="AWS_DEFAULT_REGION: not set"):
        resolve_image("image")


def test_a_cloud_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match=r"127\.0\.0\.1:9"):
        resolve_image("image")


def of_architecture(architecture: str) -> InstanceFacts:
    return InstanceFacts(
        name="c8g.xlarge", region="us-east-1", source="aws", as_of=None, vcpus=4, architecture=architecture
    )


@pytest.mark.usefixtures("localcloud")
def test_graviton_has_an_image_of_its_own_and_every_night_one_for_it() -> None:
    x86, arm = images([of_architecture("x86_64")])
    assert (x86, arm) == (resolve_image("image"), resolve_image("arm_image"))
    described = boto3.client("ec2").describe_images(ImageIds=[x86, arm])["Images"]
    assert {image["ImageId"]: image["Architecture"] for image in described} == {x86: "x86_64", arm: "arm64"}


@pytest.mark.usefixtures("localcloud")
def test_an_image_for_graviton_that_is_not_to_be_had_stops_only_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEBENCH_ARM_IMAGE", "/no/such/parameter")
    assert images([of_architecture("x86_64")]).arm == ""
    with pytest.raises(BadInput, match="SPARSEBENCH_ARM_IMAGE is '/no/such/parameter'"):
        images([of_architecture("x86_64"), of_architecture("arm64")])
