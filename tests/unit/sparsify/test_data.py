"""Datasets: digits, and folders as ImageNet-1k has them. About 10 s."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.sparsify.digits import result, run

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

split = data.split(DIGITS, network(10))
parts = {name: {part[i][0].numpy().tobytes() for i in range(len(part))}
         for name, part in (("train", split.train), ("validation", split.validation))}
large = data.split(DIGITS, network(10, 48)).train[0][0]
images, labels = next(iter(data.batches(split.validation, batch=8)))
sampled = data.sample(list(range(100)), 5)
print(json.dumps({
    "cases": [tell(uri, classes) for uri, classes in json.loads(sys.argv[1])],
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


@pytest.fixture(scope="module")
def opened(python, environment, tmp_path_factory):
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
    found = result(run(python, environment, OPEN, json.dumps(list(cases.values())), cwd=root))
    return found | dict(zip(cases, found["cases"], strict=True))


def test_digits_are_split_in_two_parts_that_never_change(opened):
    assert opened["sizes"] == {"train": 1437, "validation": 360}
    assert opened["in both"] == 0
    assert opened["digest"].startswith("fa346259cc87c0ef")


def test_digits_are_as_large_as_the_network_takes_them(opened):
    assert opened["shapes"] == [[3, 48, 48], [8, 3, 32, 32], [8]]
    assert opened["types"] == ["torch.float32", "torch.int64"]
    assert opened["range"] == [-1, 1]


def test_a_folder_is_read_with_the_networks_own_transforms(opened):
    found = opened["path"]

    assert found["images"] == [4, 4]
    assert found["classes"] == ["n01", "n02"]
    assert found["shape"] == [[3, 32, 32], [3, 32, 32]]
    assert (found["label"], found["mean"], found["type"]) == (0, 0, "torch.float32")  # MobileViT's mean is 0
    assert opened["uri"] == found


@pytest.mark.parametrize(
    ("case", "said"),
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
def test_what_is_no_dataset_of_the_network_is_one_clear_error(opened, case: str, said: str):
    assert opened[case].startswith("BadInput: dataset.uri is ")
    assert said in opened[case]


def test_a_sample_is_spread_over_all(opened):
    assert opened["sampled"] == [0, 24, 49, 74, 99]
    assert opened["all"] == 3
