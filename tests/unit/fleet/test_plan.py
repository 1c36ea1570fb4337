"""All input is checked before anything is launched, and a night's inputs stay what they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sparsebench.contracts import DIGITS, BenchRequest, Collection, InstanceFacts, Job, ModelCard, Took, Variant
from sparsebench.errors import BadInput, IntegrityError, StoreError
from sparsebench.fleet.foreign import engines_to_choose_from, plan_examination
from sparsebench.fleet.instance_types import of_name
from sparsebench.fleet.nights import Images, Sweep, freeze, manifest_for
from sparsebench.fleet.plan import Run, max_minutes, plan_import, plan_sparsify, plan_sweep, repeated
from sparsebench.fleet.spending import Expected, table, total_usd
from sparsebench.store import Store

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)

Register = Callable[[Store, str, bytes], None]


@pytest.fixture
def register(make_card: Callable[..., ModelCard]) -> Register:
    """Makes a network's base another file."""

    def put(store: Store, network: str, content: bytes) -> None:
        store.put_model_card(make_card(network, artifact=store.put_artifact(content)))

    return put


@pytest.fixture
def store(tmp_path: Path, register: Register) -> Store:
    store = Store((tmp_path / "store").as_uri())
    register(store, "vgg19", b"one network")
    register(store, "resnet50", b"another")
    return store


def plan(store: Store, key: str | None = "2026-05-04", run: str = "r1", **asked: Any) -> BenchRequest:
    """What the one job of a sweep is to measure."""
    sweep = Sweep(**{"instance_types": ("localhost",), **asked})
    (job,) = plan_sweep(store, sweep, key, Run("benchmark_sweep", run, "ami-1"), NOW, "quick").jobs
    return store.bench_request(job.request)


def content(store: Store) -> dict[str, bytes]:
    return {path: store.read(path) for folder in ("nights", "payloads", "locks") for path in store.paths(folder)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_types", ("z9.huge",)),
        ("instance_types", ("g4dn.xlarge",)),  # in the catalog, but for training
        ("networks", ("alexnet",)),
        ("engines", ("tensorrt",)),
        ("protocol", "hasty"),
        ("networks", ("mobilenetv1",)),  # in the catalog, but it has no model
    ],
)
def test_bad_input_names_field_and_value_and_leaves_the_store_as_it_was(
    store: Store, field: str, value: str | tuple[str, ...]
) -> None:
    before = content(store)
    asked: dict[str, Any] = {field: value}
    named = value if isinstance(value, str) else value[0]
    with pytest.raises(BadInput, match=f"{field}: '{named}'"):
        plan(store, **asked)
    assert content(store) == before


def test_a_store_without_models_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run sparsify first"):
        plan(Store(tmp_path.as_uri()))


def test_an_artifact_whose_digest_is_wrong_stops_the_plan(store: Store) -> None:
    (card,) = (card for card in store.model_cards() if card.network == "vgg19")
    store.write(store.artifact_path(card.artifact), b"something else")
    before = content(store)
    with pytest.raises(IntegrityError, match="edited or damaged"):
        plan(store)
    assert content(store) == before


def test_an_int8_network_is_planned_with_its_encodings_and_its_parent(
    store: Store, make_card: Callable[..., ModelCard]
) -> None:
    artifact, integer, parent = (store.put_artifact(content) for content in (b"QDQ", b"integer", b"fp32"))
    encodings = {"deepsparse": integer}
    card = make_card("resnet50", "pruned_int8", artifact=artifact, encodings=encodings, parent=parent)
    store.put_model_card(card)

    (model,) = (model for model in plan(store).models if model.variant == "pruned_int8")

    assert (model.artifact, model.encodings, model.parent) == (artifact, encodings, parent)


@pytest.mark.parametrize("damaged", ["encoding", "parent"])
def test_an_int8_network_whose_files_are_damaged_stops_the_plan(
    store: Store, make_card: Callable[..., ModelCard], damaged: str
) -> None:
    files = {name: store.put_artifact(name.encode()) for name in ("QDQ", "encoding", "parent")}
    encodings = {"deepsparse": files["encoding"]}
    card = make_card("resnet50", "pruned_int8", artifact=files["QDQ"], encodings=encodings, parent=files["parent"])
    store.put_model_card(card)
    store.write(store.artifact_path(files[damaged]), b"something else")

    with pytest.raises(IntegrityError, match="edited or damaged"):
        plan(store)


def test_a_store_that_cannot_be_written_stops_the_plan(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot write"):
        plan(Store((tmp_path / "file" / "store").as_uri()))


def test_an_edited_manifest_is_recognised(store: Store) -> None:
    plan(store)
    path = "nights/2026-05-04/manifest.json"
    manifest = json.loads(store.read(path))
    manifest["protocol"]["max_processes"] = 99
    store.write(path, json.dumps(manifest).encode())
    with pytest.raises(IntegrityError, match="was edited"):
        plan(store, run="r2")


def test_a_later_run_of_a_night_measures_that_nights_models(store: Store, register: Register) -> None:
    first = plan(store)
    register(store, "vgg19", b"retrained")
    second = plan(store, run="r2", instance_types=("m5.xlarge",))
    assert first.models == second.models
    assert first.job != second.job


GRAVITON = InstanceFacts(
    name="c8g.xlarge",
    region="us-east-1",
    source="aws",
    as_of=NOW.date(),
    vcpus=4,
    cores=4,
    architecture="arm64",
    usd_per_hour=0.1595,
)


def plan_arm(store: Store, key: str | None, run: str, *names: str) -> list[Job]:
    on = Run("benchmark_sweep", run, "ami-1", "ami-2", types={GRAVITON.name: GRAVITON})
    return list(plan_sweep(store, Sweep(instance_types=names), key, on, NOW, "quick").jobs)


def test_each_architecture_has_an_image_of_its_own_in_a_night(store: Store) -> None:
    x86, arm = plan_arm(store, "2026-05-04", "r1", "m5.xlarge", "c8g.xlarge")
    assert [(job.architecture, job.image) for job in (x86, arm)] == [("x86_64", "ami-1"), ("arm64", "ami-2")]
    assert (x86.lock, x86.payload) == (arm.lock, arm.payload)
    (backfilled,) = plan_arm(store, "2026-05-04", "r2", "c8g.xlarge")
    assert backfilled.image == "ami-2"


def test_a_night_that_has_no_image_for_graviton_refuses_it_before_anything_is_launched(store: Store) -> None:
    plan(store)
    before = content(store)
    with pytest.raises(BadInput, match=r"'c8g\.xlarge' is of the architecture arm64, for which the night"):
        plan_arm(store, "2026-05-04", "r2", "c8g.xlarge")
    assert content(store) == before
    (job,) = plan_arm(store, None, "r3", "c8g.xlarge")
    assert store.bench_request(job.request).night == "2026-05-04.2"


def test_what_trains_is_not_for_graviton(store: Store) -> None:
    on = Run("sparsify", "r", "ami-1", "ami-2", types={GRAVITON.name: GRAVITON})
    with pytest.raises(BadInput, match="what trains is for x86_64"):
        plan_sparsify(store, ["vgg19"], ["base"], "c8g.xlarge", on)
    wanted = {"network": "vgg19", "variant": "pruned", "source": "https://example.org/vgg19.onnx"}
    (job,) = plan_import(store, on, "c8g.xlarge", **wanted)
    assert (job.image, job.architecture) == ("ami-2", "arm64")


def test_a_retry_has_the_same_job_so_that_it_finds_its_trials(store: Store) -> None:
    assert plan(store) == plan(store)


def test_a_night_keeps_its_protocol(store: Store) -> None:
    plan(store, protocol="study")
    assert plan(store, run="r2").protocol.name == "study"
    with pytest.raises(BadInput, match="protocol: 'quick', but the night 2026-05-04 was frozen with 'study'"):
        plan(store, run="r3", protocol="quick")


def test_without_a_key_a_run_joins_todays_night_while_the_inputs_are_the_same(store: Store, register: Register) -> None:
    assert plan(store, key=None).night == "2026-05-04"
    assert plan(store, key=None, run="r2").night == "2026-05-04"
    register(store, "vgg19", b"retrained")
    assert plan(store, key=None, run="r3").night == "2026-05-04.2"
    assert plan(store, key=None, run="r4", networks=("resnet50",)).night == "2026-05-04"
    assert plan(store, key=None, run="r5", protocol="study").night == "2026-05-04.3"


def test_a_past_night_without_a_manifest_gets_todays_inputs_and_says_so(store: Store) -> None:
    plan(store, key="2026-05-01")
    assert store.manifest("2026-05-01").frozen_late
    plan(store, key="2026-05-04")
    assert not store.manifest("2026-05-04").frozen_late


def test_a_night_keeps_its_image_though_the_public_parameter_moves(store: Store) -> None:
    for run, image in (("r1", "ami-1"), ("r2", "ami-2")):
        planned_run = Run("benchmark_sweep", run, image)
        (job,) = plan_sweep(store, Sweep(("localhost",)), "2026-05-04", planned_run, NOW, "quick").jobs
        assert job.image == "ami-1"


def test_a_sweep_that_would_cost_more_than_its_budget_is_refused_before_anything_is_written(store: Store) -> None:
    before = content(store)
    for budget, message in ((0.01, "m5.xlarge alone may cost"), (0.95, "expected to cost")):
        planned_run = Run("benchmark_sweep", "r1", "ami-1", budget_usd=budget)
        sweep = Sweep(("m5.xlarge", "m6a.xlarge", "m7i.xlarge"), protocol="study")
        with pytest.raises(BadInput, match=f"budget_usd: {budget:.2f}.*{message}"):
            plan_sweep(store, sweep, "2026-05-04", planned_run, NOW, "quick")
    assert content(store) == before


def test_what_a_run_costs_is_not_known_where_one_price_is_not() -> None:
    known, unknown = Expected("m5.xlarge", 1, 0.2, 0.4), Expected("m5n.xlarge", 1, None, None)
    assert total_usd([known, known]) == pytest.approx(0.4)
    assert total_usd([known, unknown]) is None
    assert table([known, unknown]).endswith("together: not known")


@pytest.mark.parametrize("budget", [None, 100])
def test_where_nobody_is_asked_a_price_that_is_not_known_is_refused(store: Store, budget: float | None) -> None:
    planned_run = Run("sparsify", "r1", "ami-1", region="mars-north-1", budget_usd=budget)
    with pytest.raises(BadInput, match=r"no price of m5\.xlarge"):
        plan_sparsify(store, ["mobilevit_xs"], ["base"], "m5.xlarge", planned_run)
    with pytest.raises(BadInput, match=r"no price of m5\.xlarge"):
        plan_import(
            store, planned_run, "m5.xlarge", network="vgg19", variant="pruned", source="https://example.org/x.onnx"
        )


def test_at_most_holds_the_credits_that_a_burstable_type_is_charged() -> None:
    burstable, other = (of_name(name, "us-east-1", "instance_types") for name in ("t3.xlarge", "m5.xlarge"))
    assert burstable.at_most_usd_per_hour == pytest.approx(0.1664 + 4 * 0.05)
    assert other.at_most_usd_per_hour == pytest.approx(0.192)


def test_without_a_price_a_budget_cannot_be_kept(store: Store) -> None:
    planned_run = Run("benchmark_sweep", "r1", "ami-1", region="mars-north-1", budget_usd=100)
    with pytest.raises(BadInput, match=r"no price of m5\.xlarge"):
        plan_sweep(store, Sweep(("m5.xlarge",)), "2026-05-04", planned_run, NOW, "quick")
    unlimited = Run("benchmark_sweep", "r1", "ami-1", region="mars-north-1")
    (job,) = plan_sweep(store, Sweep(("m5.xlarge",)), "2026-05-04", unlimited, NOW, "quick").jobs
    assert job.usd_per_hour is None


def test_what_is_expected_follows_what_it_took_before(store: Store) -> None:
    planned_run = Run("benchmark_sweep", "r1", "ami-1")
    first = plan_sweep(store, Sweep(("m5.xlarge",)), "2026-05-04", planned_run, NOW, "quick")
    took = tuple(
        Took(instance_type="m5.xlarge", network=model.network, variant=model.variant, machine_s=18_000)
        for model in first.requests[0].models
    )
    store.put_collection(
        "r1", Collection(run_id="r1", night="2026-05-04", planned=0, measured=0, missing=(), took=took)
    )
    second = plan_sweep(store, Sweep(("m5.xlarge", "t3.xlarge")), "2026-05-05", planned_run, NOW, "quick")
    assert second.expected[0].hours == pytest.approx(10 + 1 / 6)
    assert second.expected[0].usd == pytest.approx(0.192 * (10 + 1 / 6))
    assert second.expected[1].hours == first.expected[0].hours  # another type's history is not its own


def test_what_earlier_nights_took_is_read_once_for_all_types(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("benchmark_sweep", "r1", "ami-1")
    plan_sweep(store, Sweep(("m5.xlarge",)), "2026-05-04", run, NOW, "quick")
    read: list[str] = []
    collections = Store.collections

    def counted(self: Store, night: str) -> list[Collection]:
        read.append(night)
        return collections(self, night)

    monkeypatch.setattr(Store, "collections", counted)
    plan_sweep(store, Sweep(("m5.xlarge", "m6a.xlarge", "m7i.xlarge")), "2026-05-05", run, NOW, "quick")
    assert read == ["2026-05-04"]


def test_what_is_done_again_has_a_name_of_its_own(store: Store) -> None:
    (job,) = plan_sweep(
        store, Sweep(("localhost",)), "2026-05-04", Run("benchmark_sweep", "r1", "ami-1"), NOW, "quick"
    ).jobs
    second = repeated(store, job, 2)
    assert second.job == f"{job.job}.2"
    first, other = store.bench_request(job.request), store.bench_request(second.request)
    assert other == first.model_copy(update={"job": second.job})


def test_an_instance_lives_longer_than_what_is_timed(store: Store) -> None:
    timed = timedelta(seconds=2 * 5 * 60)
    request = plan(store, protocol="study", engines=("onnxruntime",))
    assert timedelta(minutes=max_minutes(request)) > timed


SPARSIFY = Run("sparsify", "r", "ami-1")
DIGITS_FIELDS = DIGITS.model_dump()
DENSE = "modifiers:\n  - !EpochRangeModifier {start_epoch: 0.0, end_epoch: 2.0}\n"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"weights": "ftp://somewhere/w.pt"}, "weights is 'ftp://somewhere/w.pt'"),
        ({"dataset": {"name": "d", "uri": "gopher://x"}}, "dataset.uri is 'gopher://x'"),
        ({"dataset": DIGITS_FIELDS}, "weights is 'hub'.*expected random or a file"),
        ({"epochs": 5}, "epochs: it takes labelled images"),
        ({"dense_epochs": -1}, "dense_epochs is -1"),
        ({"budget_points": 1.0, "weights": "random", "dataset": DIGITS_FIELDS}, "expected epochs"),
        ({"learning_rate": 0.01, "weights": "random", "dataset": DIGITS_FIELDS}, "learning_rate is 0.01: nothing"),
        ({"learning_rate": 0.0, "epochs": 5, "weights": "random", "dataset": DIGITS_FIELDS}, "learning_rate is 0.0"),
        ({"recipe": "modifiers: 3", "weights": "random", "dataset": DIGITS_FIELDS}, "recipe: "),
        ({"recipe": DENSE, "epochs": 5, "weights": "random", "dataset": DIGITS_FIELDS}, "epochs is 5"),
    ],
)
def test_what_sparsify_cannot_do_is_refused_before_anything_is_written(
    store: Store, how: dict[str, Any], message: str
) -> None:
    before = content(store)
    with pytest.raises(BadInput, match=message):
        plan_sparsify(store, ["resnet50"], ["pruned"], "localhost", SPARSIFY, **how)
    assert content(store) == before


def test_a_recipe_is_of_one_network(store: Store) -> None:
    with pytest.raises(BadInput, match="recipe: it names the layers of one network"):
        plan_sparsify(store, ["resnet50", "vgg19"], ["pruned"], "localhost", SPARSIFY, recipe=DENSE)


def test_a_network_is_not_asked_for_a_variant_that_it_does_not_have(store: Store) -> None:
    jobs = plan_sparsify(store, ["resnet50", "vgg19"], ["pruned", "pruned_int8"], "localhost", SPARSIFY)
    variants = [store.sparsify_request(job.request).variants for job in jobs]
    assert variants == [("pruned", "pruned_int8"), ("pruned",)]
    with pytest.raises(BadInput, match="vgg19 has no 'pruned_int8'"):
        plan_sparsify(store, ["vgg19"], ["pruned_int8"], "localhost", SPARSIFY)


def test_a_network_of_digits_is_swept_only_by_its_name(store: Store, make_card: Callable[..., ModelCard]) -> None:
    card = make_card(network="vgg19-digits", variant="base")
    store.put_model_card(card.model_copy(update={"artifact": store.put_artifact(b"digits")}))
    manifest = manifest_for(store, Sweep(instance_types=("localhost",)), None, Images("ami-1"), NOW, "quick")
    assert "vgg19-digits" in {model.network for model in manifest.models}
    assert "vgg19-digits" not in {model.network for model in Sweep(instance_types=("localhost",)).models_of(manifest)}
    (named,) = Sweep(instance_types=("localhost",), networks=("vgg19-digits",)).models_of(manifest)
    assert named.network == "vgg19-digits"


def test_of_two_runs_that_freeze_a_night_at_once_both_measure_the_firsts_inputs(
    store: Store, register: Register
) -> None:
    sweep = Sweep(instance_types=("localhost",))
    first = manifest_for(store, sweep, "2026-05-04", Images("ami-1"), NOW, "quick")
    register(store, "vgg19", b"retrained")
    second = manifest_for(store, sweep, "2026-05-04", Images("ami-1"), NOW, "quick")
    assert second != first
    assert freeze(store, first) == first
    assert freeze(store, second) == first


def test_an_import_is_a_job_in_the_bench_environment_and_can_be_done_again(store: Store) -> None:
    run = Run("import_model", "r", "ami-1")
    wanted = {"network": "vgg19", "variant": "pruned", "source": "https://example.org/vgg19.onnx"}
    (job,) = plan_import(store, run, "localhost", **wanted)
    assert (job.module, job.environment) == ("importing", "bench")
    assert store.import_request(job.request).source == "https://example.org/vgg19.onnx"
    second = repeated(store, job, 2)
    assert store.import_request(second.request).job == second.job == f"{job.job}.2"


@pytest.mark.parametrize(
    ("network", "variant", "source", "message"),
    [
        ("vgg", "pruned", "https://example.org/m.onnx", "network: 'vgg'"),
        ("vgg19", "pruned_int8", "https://example.org/m.onnx", "variant: vgg19 has no 'pruned_int8'"),
        ("resnet50", "pruned_int8", "https://example.org/m.onnx", "parent is missing"),
        ("vgg19", "pruned", "ftp://example.org/m.onnx", "source is 'ftp://example.org/m.onnx'"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_written(
    store: Store, network: str, variant: Variant, source: str, message: str
) -> None:
    before = content(store)
    wanted = {"network": network, "variant": variant, "source": source}
    with pytest.raises(BadInput, match=message):
        plan_import(store, Run("import_model", "r", "ami-1"), "localhost", **wanted)
    assert content(store) == before


SIGNED = "https://host/x?download=1&X-Amz-Expires=60&X-Amz-Signature=hush#sha256=" + 64 * "0"
REFUSED = r"is 'https://host/x' with X-Amz-Signature in its query.*expected .* store:<path>"


def test_a_signed_url_is_refused_before_anything_is_written_since_requests_are_kept(store: Store) -> None:
    run = Run("import_model", "r", "ami-1")
    with pytest.raises(BadInput, match="source " + REFUSED) as imported:
        plan_import(store, run, "localhost", network="vgg19", variant="pruned", source=SIGNED)
    int8 = {"source": "/x", "parent": "/y", "integer": SIGNED}
    with pytest.raises(BadInput, match="integer " + REFUSED):
        plan_import(store, run, "localhost", network="resnet50", variant="pruned_int8", **int8)
    with pytest.raises(BadInput, match="weights " + REFUSED):
        plan_sparsify(store, ["vgg19"], ["pruned"], "localhost", SPARSIFY, weights=SIGNED)
    assert "hush" not in str(imported.value)
    assert not [*store.paths("requests"), *store.paths("payloads")]


def test_an_instance_type_that_is_given_twice_is_refused() -> None:
    with pytest.raises(BadInput, match=r"instance_types: 'm5\.xlarge' is given twice"):
        Sweep(("m5.xlarge", "localhost", "m5.xlarge"))


def test_a_network_that_only_the_store_has_is_measured_where_it_is_named_and_only_there(
    store: Store, register: Register
) -> None:
    assert "own" not in {model.network for model in plan(store).models}
    register(store, "own", b"a network of a person's own")
    swept = plan(store, key=None)
    assert {model.network for model in swept.models} == {"vgg19", "resnet50"}
    assert "own" not in {card.network for card in store.manifest(swept.night).models}
    named = plan(store, key=None, run="r2", networks=("own",))
    assert [model.network for model in named.models] == ["own"]
    assert (swept.night, named.night) == ("2026-05-04", "2026-05-04.2")


def test_a_network_that_only_the_store_has_leaves_the_days_night_to_the_schedule(
    store: Store, register: Register
) -> None:
    register(store, "own", b"a network of a person's own")
    assert plan(store, key=None, networks=("own",)).night == "2026-05-04.2"
    assert plan(store, key=None, run="r2", networks=("own",)).night == "2026-05-04.2"
    assert "own" not in {card.network for card in store.manifest(plan(store, run="r3").night).models}


def test_a_network_that_nobody_has_is_refused_with_those_that_there_are(store: Store, register: Register) -> None:
    register(store, "own", b"a network of a person's own")
    with pytest.raises(BadInput, match="networks: 'own' has no model for pruned"):
        plan(store, key=None, run="r3", networks=("own",), variants=("base", "pruned"))
    with pytest.raises(BadInput, match=r"networks: 'owm' is not one of .*resnet50, "):
        plan(store, key=None, run="r3", networks=("owm",))


def examination(store: Store, types: tuple[str, ...], budget_usd: float | None = None, **changes: Any) -> list[Job]:
    files: dict[Variant, str] = {"base": "/own.onnx", "pruned": "/own-pruned.onnx"}
    asked = {"network": "own", "files": files, "axes": ["height=32"], **changes}
    return plan_examination(store, Run("recommend", "r1", "ami-1", budget_usd=budget_usd), types=types, **asked)


def test_files_of_ones_own_are_tried_on_the_cheapest_type_before_they_are_measured(store: Store) -> None:
    jobs = examination(store, ("m7i.xlarge", "m5.xlarge"))
    assert {(job.instance_type, job.module) for job in jobs} == {("m5.xlarge", "importing")}
    requests = [store.import_request(job.request) for job in jobs]
    assert [(of.variant, of.source, of.axes) for of in requests] == [
        ("base", "/own.onnx", ("height=32",)),
        ("pruned", "/own-pruned.onnx", ("height=32",)),
    ]
    assert len({job.job for job in jobs}) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"types": ()}, "instance_types: none was chosen"),
        ({"types": ("m5.xlarge", "z9.huge")}, "instance_types: 'z9.huge'"),
        ({"network": "resnet50"}, "network: 'resnet50' is one of the catalog's"),
        ({"network": "../own"}, "network is '../own'"),
        ({"axes": ["height"]}, "axes is 'height'; expected NAME=SIZE"),
        ({"files": {"base": "/own.onnx", "pruned": "own.onnx"}}, "source is 'own.onnx'; expected an absolute path"),
        ({"budget_usd": 0.01}, r"budget_usd: 0\.01, but m5\.xlarge alone may cost"),
        ({"budget_usd": -1}, "budget_usd is -1; expected an amount"),
    ],
)
def test_what_cannot_be_recommended_for_is_refused_before_anything_is_written(
    store: Store, changes: dict[str, Any], said: str
) -> None:
    before = content(store)
    with pytest.raises(BadInput, match=said):
        examination(store, **{"types": ("m5.xlarge",), **changes})
    assert content(store) == before
    assert not list(store.paths("requests"))


def test_nobody_chooses_a_benchmark_tool() -> None:
    assert engines_to_choose_from() == ("onnxruntime", "openvino", "deepsparse")
