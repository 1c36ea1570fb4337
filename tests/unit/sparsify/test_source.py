"""What a request says of weights and images is checked before anything is launched, without torch."""

from __future__ import annotations

import pytest

from sparsebench import catalog
from sparsebench.contracts import DIGITS, DatasetRef
from sparsebench.download import FileSource
from sparsebench.errors import BadInput
from sparsebench.sparsify import source


@pytest.mark.parametrize("name", ["hub", "package", "random"])
def test_weights_that_need_no_address(name: str) -> None:
    assert source.parse(name) == name


def test_weights_in_a_file() -> None:
    assert source.parse(f"store:weights/a.pt#sha256={'0' * 64}") == FileSource(
        field="weights", text="store:weights/a.pt", kind="store", place="weights/a.pt", sha256="0" * 64
    )


@pytest.mark.parametrize("text", ["Hub", "weights.pt", "ftp://host/x", "store:../x"])
def test_other_weights_are_refused_and_the_error_says_what_there_is(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        source.parse(text)

    assert str(caught.value).startswith(f"weights is {text!r}; expected hub, package, random, an absolute path, file:")


def test_a_package_is_refused_where_none_ships_the_network() -> None:
    assert source.parse("package", catalog.networks()["efficientnet_lite0"]) == "package"
    with pytest.raises(BadInput, match="no Python package ships those of vgg19; expected hub, random, an absolute"):
        source.parse("package", catalog.networks()["vgg19"])


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        (DIGITS.uri, ("builtin", "builtin:digits")),
        ("/data/imagenet", ("folder", "/data/imagenet")),
        ("file:///with%20space", ("folder", "/with space")),
        ("s3://bucket/imagenet", ("s3", "s3://bucket/imagenet")),
        ("store:datasets/imagenet", ("store", "datasets/imagenet")),
    ],
)
def test_images_are_built_in_or_a_folder_or_kept_elsewhere(uri: str, kind: tuple[str, str]) -> None:
    assert source.check_dataset(DatasetRef(name="d", uri=uri)) == kind


@pytest.mark.parametrize(
    "uri", ["builtin:letters", "imagenet", "file://host/x", "s3://bucket", "store:../x", "gs://b/x"]
)
def test_images_elsewhere_are_refused(uri: str) -> None:
    with pytest.raises(BadInput) as caught:
        source.check_dataset(DatasetRef(name="d", uri=uri))

    assert str(caught.value).startswith(f"dataset.uri is {uri!r}; expected 'builtin:digits'")
