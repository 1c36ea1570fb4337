"""Which image instances are launched from."""

from __future__ import annotations

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from sparsebench.errors import BadInput
from sparsebench.settings import Settings


def resolve_image(gpu: bool = False) -> str:
    """The AMI id of ``Settings.image`` or ``Settings.gpu_image``, resolved once for a run: public parameters move.

    Raises:
        BadInput: there is no region, no credentials or no such parameter, or AWS refuses or does not answer.
    """
    name, image = ("SPARSEBENCH_GPU_IMAGE", Settings().gpu_image) if gpu else ("SPARSEBENCH_IMAGE", Settings().image)
    if image.startswith("ami-"):
        return image
    try:
        return SsmHook().get_parameter_value(image)
    except NoCredentialsError as error:
        raise BadInput(
            "AWS credentials: none found; set the connection aws_default, or AWS_ENDPOINT_URL for an emulated cloud"
        ) from error
    except NoRegionError as error:
        raise BadInput("AWS_DEFAULT_REGION: not set; set it to the region to launch in, such as us-east-1") from error
    except (BotoCoreError, ClientError) as error:
        raise BadInput(f"{name} is {image!r}: {error}") from error
