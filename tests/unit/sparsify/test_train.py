"""Networks are trained, pruned gradually, interrupted and gone on with. About 90 s, with the training they stand on."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from tests.support.digits import TARGET, Trained, result, run, trained  # noqa: F401

SHORT = """
import hashlib
whole = data.split(DIGITS, NETWORK)
split = data.Split(DIGITS, data.sample(whole.train, 96), data.sample(whole.validation, 16))
training = train.Training(batch=32, seed=5)
targets = {"final_conv.conv": 0.8, "stages.4.1.transformer.0.mlp.fc1": 0.5, "stages.2.0.conv2_kxk.conv": 0.7}
phases = gmp.Phases(stabilise=1, prune=2, finetune=2, updates=4)
checkpoint = Path(sys.argv[1]) / "checkpoint.pt"

def digest(model):
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.state_dict().values())).hexdigest()
"""

IMPORT_AS_IT_IS = """
import sys, threading
sys.addaudithook(lambda event, args: print(event) if event == "socket.getaddrinfo" else None)
import sparseml.pytorch.optim
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(10)
"""

UNDISTURBED = """
model = network()
curve = train.train(model, gmp.gradual(targets, phases), split, training)
undisturbed = digest(model)
"""

INTERRUPTED = """
class Stop(Exception): ...

def stop(epoch):
    raise Stop

class Failing(torch.utils.data.Dataset):  # in the middle of its first epoch, once the checkpoint has two
    def __getitem__(self, index):
        self.read = getattr(self, "read", 0) + 1
        if self.read == 50 and runs == 3:
            raise Stop
        return split.train[index]
    def __len__(self):
        return len(split.train)

runs, text = 0, gmp.gradual(targets, phases)
while True:
    model, runs = network(), runs + 1
    try:
        again = train.train(model, text, data.Split(split.dataset, Failing(), split.validation), training,
                            checkpoint=checkpoint, on_epoch=stop)
        break
    except Stop:
        pass

def refusal(action):
    try:
        action()
    except SparsebenchError as error:
        return f"{type(error).__name__}: {error}"

def go(recipe=text, training=training, model=None, checkpoint=None):
    return lambda: train.train(model or network(), recipe, split, training, checkpoint=checkpoint)

broken = network()
torch.nn.init.constant_(broken.head.fc.bias, float("nan"))
cut = checkpoint.with_name("cut.pt")
cut.write_bytes(checkpoint.read_bytes()[:-1000])
dressed = checkpoint.with_name("dressed.pt")
torch.save({"weight": torch.zeros(1), "code": Path("x")}, dressed)
torch.save({"head.fc.weight": torch.zeros(10, 3)}, checkpoint.with_name("other.pt"))
print(json.dumps({
    "undisturbed": undisturbed, "resumed": digest(model), "runs": runs,
    "curves": [[e.model_dump(exclude={"seconds", "left_s"}) for e in c] for c in (curve, again)],
    "temporary": [file.name for file in checkpoint.parent.iterdir() if file.suffix == ".tmp"],
    "other seed": refusal(go(training=train.Training(batch=32, seed=6), checkpoint=checkpoint)),
    "other weights": refusal(go(model=network_of_seed(1), checkpoint=checkpoint)),
    "damaged": refusal(go(checkpoint=cut)),
    "code": refusal(lambda: tensors.load_weights(network(), dressed)),
    "other network": refusal(lambda: tensors.load_weights(network(), checkpoint.with_name("other.pt"))),
    "no file": refusal(lambda: tensors.load_weights(network(), checkpoint.with_name("none.pt"))),
    "layer": refusal(go(gmp.gradual({"conv9": 0.5}))),
    "field": refusal(go(text.replace("mask_type", "mask_kind"))),
    "batch": refusal(go(training=train.Training(batch=97))),
    "not finite": refusal(go(model=broken)),
}))
"""

OTHER = """
def network_of_seed(seed):
    return build.build(NETWORK, build.WeightSource(SOURCE.weights.model_copy(update={"seed": seed}), None))
"""


@pytest.fixture(scope="module")
def short(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("short")
    return result(run(python, environment, SHORT + OTHER + UNDISTURBED + INTERRUPTED, folder, cwd=folder))


def test_a_network_is_trained(trained: Trained) -> None:  # noqa: F811
    curve = trained.results["dense_curve"]

    assert trained.results["dense"] > 0.9
    assert [(epoch["number"], epoch["total"]) for epoch in curve] == [(1, 3), (2, 3), (3, 3)]
    assert curve[-1]["loss"] < curve[0]["loss"] / 4
    assert curve[-1]["learning_rate"] < 0.005 < curve[0]["learning_rate"]
    assert curve[-1]["left_s"] == 0
    assert curve[0]["left_s"] == pytest.approx(2 * curve[0]["seconds"])
    assert {epoch["sparsity"] for epoch in curve} == {0}


def test_pruned_gradually_it_keeps_what_it_loses_when_pruned_in_one_shot(trained: Trained) -> None:  # noqa: F811
    results = trained.results

    assert results["one_shot"] < results["dense"] - 0.4
    assert results["gmp"]["top1"] / results["gmp"]["images"] > results["dense"] - 0.06


def test_every_layer_lands_on_its_target(trained: Trained) -> None:  # noqa: F811
    sparsities = trained.results["sparsities"]

    assert len(sparsities) == 72
    assert all(sparsity == pytest.approx(TARGET, abs=0.01) for sparsity in sparsities.values())


def test_sparsity_rises_with_time(trained: Trained) -> None:  # noqa: F811
    sparsity = [epoch["sparsity"] for epoch in trained.results["gmp_curve"]]

    assert sparsity[0] == 0
    assert 0.05 < sparsity[1] < sparsity[2] <= sparsity[3] == pytest.approx(TARGET, abs=0.001)


def test_nobody_is_called_and_nothing_is_left_in_the_working_folder(trained: Trained) -> None:  # noqa: F811
    assert trained.results["connections"] == []
    assert [path.name for path in trained.folder.iterdir()] == ["dense.pt"]


def test_a_call_of_sparseml_would_have_been_noted(python: str, environment: dict[str, str]) -> None:
    loud = {name: value for name, value in environment.items() if not name.startswith("NM_")}
    done = subprocess.run([python, "-c", IMPORT_AS_IT_IS], env=loud, capture_output=True, text=True)
    assert "socket.getaddrinfo" in done.stdout, done.stderr


def test_a_training_that_is_interrupted_time_and_again_ends_with_the_same_weights(short: dict[str, Any]) -> None:
    assert short["runs"] == 7  # after each of five epochs, and once in the middle of the third; then it is complete
    assert short["resumed"] == short["undisturbed"]
    assert short["curves"][0] == short["curves"][1]
    assert short["temporary"] == []


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("other seed", "is of another training"),
        ("other weights", "is of another training"),
        ("damaged", "cut.pt: it is damaged: "),
        ("code", "dressed.pt cannot be read: it holds 'pathlib.PosixPath'; expected"),
        ("other network", "other.pt: stem.conv.weight is missing: expected (16, 3, 3, 3)"),
        ("no file", "none.pt is not there"),
        ("layer", "names 'conv9.weight', which is no weight of a prunable layer of this network"),
        ("field", "mask_kind is no field of !GMPruningModifier"),
        ("batch", "batch is 97: expected at most the 96 images"),
        ("not finite", "the loss is not finite in epoch 1"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(short: dict[str, Any], case: str, message: str) -> None:
    kind = "SparsebenchError" if case == "not finite" else "BadInput"
    assert short[case].startswith(f"{kind}: ")
    assert message in short[case]
