"""Which images instances are launched from."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from sparsebench.contracts import InstanceFacts
from sparsebench.errors import BadInput
from sparsebench.fleet.nights import Images
from sparsebench.settings import PREFIX, Settings

log = logging.getLogger(__name__)


def images(types: Iterable[InstanceFacts]) -> Images:
    """The images of a run on these types, resolved once: public parameters move. A night is frozen with one for
    Graviton though none of its first run's types needs it, so that one can be added; where none is to be had, without.

    Raises:
        BadInput: see ``resolve_image``, of an image that is needed.
    """
    kinds = {(facts.architecture, facts.gpu) for facts in types}
    x86 = resolve_image("gpu_image" if any(gpu for _, gpu in kinds) else "image")
    try:
        return Images(x86, resolve_image("arm_image"))
    except BadInput as error:
        if any(architecture == "arm64" for architecture, _ in kinds):
            raise
        log.warning("no image for Graviton: %s", error)
        return Images(x86)


def resolve_image(setting: Literal["image", "arm_image", "gpu_image"]) -> str:
    """The AMI id of a setting.

    Raises:
        BadInput: there is no region, no credentials or no such parameter, or AWS refuses or does not answer.
    """
    name, image = f"{PREFIX}{setting.upper()}", str(getattr(Settings(), setting))
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
