"""Which image instances are launched from."""

from __future__ import annotations

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from sparsebench.errors import BadInput
from sparsebench.settings import Settings


def resolve_image() -> str:
    """The AMI id of ``Settings.image``, resolved once for a run: public parameters move.

    Raises:
        BadInput: there are no credentials, they are refused, AWS cannot be reached, or there is no such parameter.
    """
    settings = Settings()
    if settings.image.startswith("ami-"):
        return settings.image
    try:
        return SsmHook(region_name=settings.region).get_parameter_value(settings.image)
    except NoCredentialsError as error:
        raise BadInput(
            "AWS credentials: none found; set the connection aws_default, or AWS_ENDPOINT_URL for an emulated cloud"
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise BadInput(f"SPARSEBENCH_IMAGE is {settings.image!r}: {error}") from error
