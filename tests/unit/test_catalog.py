"""The catalog's own files are right, and a wrong one says where and what."""

from __future__ import annotations

import json

import pytest

from sparsebench import catalog
from sparsebench.catalog import InstanceType, Network, load
from sparsebench.contracts import Protocol
from sparsebench.errors import BadInput

GOOD = """\
- name: m8i.xlarge
  vcpus: 4
  memory_gib: 16
  prices:
    - {region: us-east-1, usd_per_hour: 0.2, as_of: 2026-01-01}
"""


STUDY = {"vgg19", "resnet50", "mobilevit_xs", "mobilenetv1", "inception_v3", "efficientnet_b0", "efficientnet_b2"}


def test_the_studys_networks_instance_types_and_engines_are_there() -> None:
    assert set(catalog.networks()) == STUDY | {"efficientnet_lite0"}
    types = {f"{family}.xlarge" for family in ("t3", "c4", "m6a", "m5", "m5n", "m7i")}
    assert set(catalog.cpu_instance_types()) == types | {"localhost"}
    assert set(catalog.instance_types()) - set(catalog.cpu_instance_types()) == {"g4dn.xlarge"}
    assert set(catalog.engines()) == {"onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark"}
    assert set(catalog.protocols()) == {"quick", "standard", "study", "throughput"}


def test_every_ec2_type_has_a_price_with_its_date() -> None:
    for instance_type in catalog.instance_types().values():
        assert instance_type.prices or instance_type.name == "localhost"


def test_only_resnet50_has_an_int8_variant() -> None:
    assert [name for name, network in catalog.networks().items() if "pruned_int8" in network.variants] == ["resnet50"]


def test_an_entry_is_all_that_a_new_instance_type_needs() -> None:
    assert load(GOOD, "f.yaml", InstanceType)["m8i.xlarge"].vcpus == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("vcpus: 4", "vcpus: four"), r"f\.yaml:2: 0\.vcpus|f\.yaml:2: vcpus is 'four'"),
        (("memory_gib: 16", "memory_gib: -1"), r"f\.yaml:3: memory_gib is -1"),
        (("usd_per_hour: 0.2", "usd_per_hour: cheap"), r"f\.yaml:5: prices\.0\.usd_per_hour is 'cheap'"),
        (("vcpus: 4", "cpus: 4"), r"f\.yaml:\d: (vcpus|cpus) is "),
        (("m8i.xlarge", "../m8i"), r"f\.yaml:1: name is '\.\./m8i'"),
    ],
)
def test_a_wrong_entry_names_line_field_and_value(change: tuple[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load(GOOD.replace(*change), "f.yaml", InstanceType)


def test_a_name_is_there_only_once() -> None:
    with pytest.raises(BadInput, match=r"f\.yaml:6: name is 'm8i\.xlarge': an earlier entry has this name"):
        load(GOOD + GOOD, "f.yaml", InstanceType)


@pytest.mark.parametrize("text", ["name: x", "- [", ""])
def test_what_is_not_a_list_of_entries_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"f\.yaml"):
        load(text, "f.yaml", Protocol)


def test_a_pattern_that_does_not_compile_is_named() -> None:
    entry = """\
- name: n
  label: N
  timm: n
  input_size: 32
  classes: 2
  variants: [base]
  source: s
  pruned: [{layers: "(", sparsity: 0.5}]
"""
    with pytest.raises(BadInput, match=r"pruned\.0\.layers is '\('"):
        load(entry, "f.yaml", Network)


def test_a_protocols_maximum_below_its_minimum_is_named() -> None:
    entry = catalog.protocols()["quick"].model_dump(mode="json") | {"min_processes": 21}

    with pytest.raises(BadInput, match="max_processes is 20, below min_processes 21"):
        catalog.load(json.dumps([entry]), "protocols.yaml", Protocol)
