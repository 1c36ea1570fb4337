"""Datasets: digits, and folders as ImageNet-1k has them. About 10 s."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.digits import result, run

OPEN = """
import hashlib

def network(classes, size=32):
    return NETWORK.model_copy(update={"classes": classes, "input_size": size})

def tell(uri, classes):
    try:
        split = data.split(DatasetRef(name="d", uri=uri), network(classes))
    except SparsebenchError as error:
        return f"{type(error).__name__}: {error}"
    pixels, label = split.validation[0]
    return {
        "images": [len(split.train), len(split.validation)], "classes": split.train.classes,
        "shape": [list(part[0][0].shape) for part in (split.train, split.validation)],
        "label": label, "mean": float(pixels.mean()), "type": str(pixels.dtype),
    }

def look(uri):
    told = []
    try:
        data.check_images(data.split(DatasetRef(name="d", uri=uri), network(2)), told.append)
    except SparsebenchError as error:
        return f"{type(error).__name__}: {error}"
    return told

split = data.split(DIGITS, network(10))
parts = {name: {part[i][0].numpy().tobytes() for i in range(len(part))}
         for name, part in (("train", split.train), ("validation", split.validation))}
large = data.split(DIGITS, network(10, 48)).train[0][0]
images, labels = next(iter(data.batches(split.validation, batch=8)))
sampled = data.sample(list(range(100)), 5)
print(json.dumps({
    "cases": [tell(uri, classes) for uri, classes in json.loads(sys.argv[1])],
    "looked": {case: look(uri) for case, uri in json.loads(sys.argv[2]).items()},
    "sizes": {name: len(part) for name, part in parts.items()},
    "in both": len(parts["train"] & parts["validation"]),
    "digest": hashlib.sha256(b"".join(sorted(parts["validation"]))).hexdigest(),
    "range": [float(images.min()), float(images.max())],
    "shapes": [list(large.shape), list(images.shape), list(labels.shape)],
    "types": [str(images.dtype), str(labels.dtype)],
    "sampled": [sampled[i] for i in range(len(sampled))], "all": len(data.sample(list(range(3)), 5)),
}))
"""


def folder(root: Path, **parts: dict[str, int]) -> Path:
    """A dataset with so many images of each class, in each part; a class's images are as dark as its number."""
    from PIL import Image

    for part, classes in parts.items():
        for number, (name, count) in enumerate(classes.items()):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (40, 50), (80 * number,) * 3).save(root / part / name / f"{index}.png")
    root.mkdir(exist_ok=True)
    return root


def cut_short(file: Path) -> None:
    from PIL import Image

    Image.effect_noise((40, 50), 60).convert("RGB").save(file, "JPEG")
    file.write_bytes(file.read_bytes()[:-200])


def gigantic(file: Path) -> None:
    from PIL import Image

    Image.new("1", (20_000, 20_000)).save(file, "PNG")


def a_bit_flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no bytes": lambda file: file.write_bytes(b""),
    "no image": lambda file: file.write_bytes(b"<html>not found</html>"),
    "cut short": cut_short,
    "gigantic": gigantic,
    "flipped": a_bit_flipped,
}


def damaged(root: Path, damage: Callable[[Path], object]) -> Path:
    """A dataset of which one image is damaged."""
    two = {"n01": 3, "n02": 1}
    damage(folder(root, train=two, val=two) / "train/n01/1.png")
    return root


@pytest.fixture(scope="module")
def opened(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each dataset has, or why it is refused; and what digits are."""
    root = tmp_path_factory.mktemp("data")
    two = {"n01": 3, "n02": 1}
    good = folder(root / "with space", train=two, val=two)
    cases = {
        "path": (str(good), 2),
        "uri": (good.as_uri(), 2),
        "classes": (str(good), 10),
        "missing": (str(root / "nowhere"), 2),
        "empty": (str(folder(root / "empty")), 2),
        "no val": (str(folder(root / "no-val", train=two)), 2),
        "no classes": (str(folder(root / "no-classes", train={".": 1}, val={".": 1})), 2),
        "no images": (str(folder(root / "no-images", train={"n01": 1, "n02": 0}, val=two)), 2),
        "other classes": (str(folder(root / "other", train=two, val={"n01": 1, "n03": 1})), 2),
        "scheme": ("s3://bucket/imagenet", 2),
        "relative": ("file://data/imagenet", 2),
        "digits": ("builtin:digits", 1000),
        "builtin": ("builtin:letters", 10),
    }
    linked = folder(root / "linked", train=two, val=two)
    (linked / "train/n01/again").symlink_to(linked / "train/n01")
    (linked / "train/n01/above").symlink_to(linked)
    (linked / "train/n01/elsewhere").symlink_to(folder(root / "more", of={"n01": 2}) / "of/n01")
    (linked / "train/n01/twice").symlink_to(root / "more/of/n01")
    cases["linked"] = (str(linked), 2)
    looked = {"whole": str(good)} | {case: str(damaged(root / case, damage)) for case, damage in DAMAGE.items()}
    texts = [json.dumps(list(cases.values())), json.dumps(looked)]
    results = result(run(python, environment, OPEN, *texts, cwd=root))
    return results | dict(zip(cases, results["cases"], strict=True))


def test_digits_are_split_in_two_parts_that_never_change(opened: dict[str, Any]) -> None:
    assert opened["sizes"] == {"train": 1437, "validation": 360}
    assert opened["in both"] == 0
    assert opened["digest"].startswith("fa346259cc87c0ef")


def test_digits_are_as_large_as_the_network_takes_them(opened: dict[str, Any]) -> None:
    assert opened["shapes"] == [[3, 48, 48], [8, 3, 32, 32], [8]]
    assert opened["types"] == ["torch.float32", "torch.int64"]
    assert opened["range"] == [-1, 1]


def test_a_folder_is_read_with_the_networks_own_transforms(opened: dict[str, Any]) -> None:
    opened_images = opened["path"]

    assert opened_images["images"] == [4, 4]
    assert opened_images["classes"] == ["n01", "n02"]
    assert opened_images["shape"] == [[3, 32, 32], [3, 32, 32]]
    assert (opened_images["label"], opened_images["mean"], opened_images["type"]) == (
        0,
        0,
        "torch.float32",
    )  # MobileViT's mean is 0
    assert opened["uri"] == opened_images


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("classes", "it has 2 classes; expected the 10 of network mobilevit_xs"),
        ("digits", "'builtin:digits': it has 10 classes; expected the 1000 of network mobilevit_xs"),
        ("missing", "nowhere': there is no such folder; expected 'builtin:digits', or"),
        ("empty", "empty': it has no folder train; expected"),
        ("no val", "no-val': it has no folder val; expected"),
        ("no classes", "Couldn't find any class folder in"),
        ("no images", "Found no valid file for the classes n02"),
        ("other classes", "only one of its parts has the class 'n02'"),
        ("scheme", "dataset.uri is 's3://bucket/imagenet'; expected"),
        ("relative", "dataset.uri is 'file://data/imagenet'; expected"),
        ("builtin", "dataset.uri is 'builtin:letters'; expected"),
    ],
)
def test_what_is_no_dataset_of_the_network_is_one_clear_error(opened: dict[str, Any], case: str, message: str) -> None:
    assert opened[case].startswith("BadInput: dataset.uri is ")
    assert message in opened[case]


def test_a_sample_is_spread_over_all(opened: dict[str, Any]) -> None:
    assert opened["sampled"] == [0, 24, 49, 74, 99]
    assert opened["all"] == 3


def test_every_image_is_looked_at_before_training(opened: dict[str, Any]) -> None:
    assert opened["looked"]["whole"] == ["looking through the images: 0 of 4"] * 2


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no bytes", "the file is empty"),
        ("no image", "it is no image, whatever its name says"),
        ("cut short", "it cannot be decoded: image file is truncated"),
        ("gigantic", "it has "),
        ("flipped", "it cannot be decoded: "),
    ],
)
def test_an_image_that_cannot_be_used_is_named_in_one_line(opened: dict[str, Any], case: str, message: str) -> None:
    line = opened["looked"][case]
    assert line.startswith("BadInput: dataset: ")
    assert f"{case}/train/n01/1.png: {message}" in line
    assert "\n" not in line


def test_links_neither_multiply_images_nor_lead_out_of_their_class(opened: dict[str, Any]) -> None:
    """Three of its own, and two of another folder that two links lead to; one image of the other class."""
    assert opened["linked"]["images"] == [3 + 2 + 1, 4]
