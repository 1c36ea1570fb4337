"""What a run is given is what its DAG knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from pydantic import ValidationError

from sparsebench.contracts import ImportRequest, SparsifyRequest
from sparsebench.errors import BadInput
from sparsebench.fleet.instance_types import WORD
from sparsebench_airflow.params import given, lines, networks_with_a_model, of_contract

PARAMS = {"instance_types": ["localhost"], "networks": None}


def context(conf: dict[str, Any] | None) -> Any:
    """As Airflow makes it: what was given is laid over the defaults, whether a parameter has that name or not."""
    return {
        "dag": SimpleNamespace(dag_id="benchmark_sweep", params=PARAMS),
        "dag_run": SimpleNamespace(conf=conf),
        "params": {**PARAMS, **(conf or {})},
    }


@pytest.mark.parametrize("conf", [None, {}, {"networks": ["vgg19"]}])
def test_parameters_of_the_dag_are_taken(conf: dict[str, Any] | None) -> None:
    assert given(context(conf)) == {**PARAMS, **(conf or {})}


def test_a_blank_line_of_a_field_is_no_value() -> None:
    field = lines("Other instance types", "One a line", WORD)
    assert field.resolve(["c8g.xlarge", ""]) == ["c8g.xlarge", ""]
    with pytest.raises(ParamValidationError):
        field.resolve(["c8g xlarge"])
    assert given(context({"networks": ["vgg19", "", " "]}))["networks"] == ["vgg19"]


def test_networks_that_the_catalog_does_not_have_can_be_named() -> None:
    field = networks_with_a_model()
    assert field.resolve(["my-network"]) == ["my-network"]
    assert {"vgg19", "vgg19-digits"} <= set(field.schema["examples"])
    with pytest.raises(ParamValidationError):
        field.resolve(["../vgg19"])


def test_a_parameter_that_does_not_exist_is_refused_and_the_near_one_is_named() -> None:
    with pytest.raises(BadInput, match=r"network: no such parameter; did you mean 'networks'\? benchmark_sweep has"):
        given(context({"network": ["vgg19"]}))


def test_a_parameter_that_resembles_none_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^zzz: no such parameter; benchmark_sweep has instance_types, networks$"):
        given(context({"zzz": 1}))


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("weights", ["hub"], [""]),
        ("dense_epochs", [0, 1000], [-1, 1001, 1.5, None]),
        ("epochs", [None, 1, 1000], [0, 1001]),
        ("batch", [2, 4096], [1, 4097]),
        ("learning_rate", [None, 1e-9, 1], [0, 1.1]),
        ("sensitivity", ["none", "largest", "all"], ["some"]),
        ("budget_points", [None, 0, 100], [-1, 101]),
        ("seed", [0], [-1]),
    ],
)
def test_a_form_takes_what_the_contract_takes(field: str, right: list[Any], wrong: list[Any]) -> None:
    param = of_contract(SparsifyRequest, field, "Title")
    request = {"job": "job", "network": "vgg19", "variants": ["base"]}
    assert param.value == SparsifyRequest.model_fields[field].default
    for value in right:
        assert param.resolve(value) == value
        SparsifyRequest.model_validate({**request, field: value})
    for value in wrong:
        with pytest.raises(ParamValidationError):
            param.resolve(value)
        with pytest.raises(ValidationError):
            SparsifyRequest.model_validate({**request, field: value})


def test_what_a_contract_asks_for_the_form_asks_for() -> None:
    with pytest.raises(ParamValidationError):
        of_contract(ImportRequest, "source", "ONNX file").resolve()
