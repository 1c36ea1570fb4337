"""Nothing in a file of weights is ever run, and real ones come back to the bit. About 20 s."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

FILES = r"""
import collections, io, json, os, pickle, struct, sys, tarfile, warnings, zipfile
from typing import Tuple
warnings.simplefilter("ignore")
from pathlib import Path
import torch
from sparsebench.errors import BadInput
from sparsebench.sparsify import tensors

folder = Path(sys.argv[1])
RAN = folder / "ran"
weights = {"a": torch.arange(6.0).reshape(2, 3)}

class Evil:
    def __reduce__(self):
        return os.system, (f"touch {RAN}",)

class Stateful:
    def __setstate__(self, state):
        RAN.touch()
    def __getstate__(self):
        return {"x": 1}

def file(name, content=None):
    path = folder / name
    if content is not None:
        torch.save(content, path)
    return path

def rewritten(name, change, source="plain"):
    with zipfile.ZipFile(folder / source) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members = change(members)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)

def pickled(name, data):
    rewritten(name, lambda m: {key: data if key.endswith("data.pkl") else value for key, value in m.items()})

file("plain", weights)
file("system", {"a": Evil()})
file("setstate", {"a": Stateful()})
torch.save({"a": Evil()}, folder / "old system", _use_new_zipfile_serialization=False)
torch.save(weights, folder / "old", _use_new_zipfile_serialization=False)
(folder / "old cut").write_bytes((folder / "old").read_bytes()[:-4])
(folder / "old longer").write_bytes((folder / "old").read_bytes() + b"x")
(folder / "bare pickle").write_bytes(pickle.dumps(Evil()))
(folder / "empty").write_bytes(b"")
(folder / "folder").mkdir()

# TorchScript runs a __setstate__ of its own. Of two directories, Python's zip reader takes the last one, where the name
# that gives it away is another, and torch's the one at the offset that the end names.
class Script(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ran = str(RAN)
    def forward(self, x):
        return x
    @torch.jit.export
    def __getstate__(self):
        return (self.ran, self.training)
    @torch.jit.export
    def __setstate__(self, state: Tuple[str, bool]):
        self.ran = state[0]
        self.training = state[1]
        torch.ops.aten.save(1, state[0])
torch.jit.save(torch.jit.script(Script()), folder / "script")
RAN.unlink(missing_ok=True)
with zipfile.ZipFile(folder / "script") as archive:
    count, start = len(archive.infolist()), archive.start_dir
script = (folder / "script").read_bytes()
size = script.index(b"PK\x06\x06", start) - start
directory = script[start : start + size]
end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, size, start, 0)
(folder / "two directories").write_bytes(
    script[: start + size] + directory.replace(b"constants.pkl", b"harmless0.pkl") + end
)
(folder / "two ends").write_bytes(
    script[: start + size] + directory.replace(b"constants.pkl", b"harmless0.pkl") + end + end
)

def tar(name, *members, tail=b""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (folder / name).write_bytes(buffer.getvalue() + tail)

evil = pickle.dumps(Evil())
tar("tar", *((tarfile.TarInfo(part), evil) for part in ("pickle", "storages", "tensors")))
tar("tar and zip", *((tarfile.TarInfo(part), evil) for part in ("pickle", "storages", "tensors")),
    tail=(folder / "plain").read_bytes())
link = tarfile.TarInfo("pickle")
link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
tar("tar with link", (link, b""), (tarfile.TarInfo("storages"), evil))

ordered = b"ccollections\nOrderedDict\n"
pickled("state for a class", b"\x80\x02" + ordered + b"}(X\x01\x00\x00\x00xK\x01ub.")
pickled("evaluated", b"\x80\x02cbuiltins\neval\nX\x04\x00\x00\x001+1.\x85R.")
pickled("old getattr", b"\x80\x02cbuiltins\ngetattr\n(ctorch.nn\nModule\nX\x08\x00\x00\x00__init__tR.")
pickled("object", b"\x80\x02(i__main__\nEvil\n.")
pickled("new object", b"\x80\x02c__main__\nStateful\n)\x81}b.")
pickled("extension", b"\x80\x02\x82\x01.")
pickled("deep", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
pickled("no end", b"\x80\x02}q\x00")
pickled("stack", b"\x80\x02uuuR.")
laughs = b"\x80\x02]()q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"e"
pickled("laughs", laughs + b".")
hashed = laughs + b"}h\x00K\x01s."
pickled("hash that takes for ever", hashed)
rewritten("storage missing", lambda m: {k: v for k, v in m.items() if not k.endswith("data/0")})
rewritten("storage short", lambda m: {k: v[:-4] if k.endswith("data/0") else v for k, v in m.items()})
rewritten("code beside", lambda m: m | {"plain/code/__torch__.py": b"import os"})
rewritten("constants", lambda m: m | {"plain/constants.pkl": b"\x80\x02."})
rewritten("two folders", lambda m: m | {"other/data.pkl": b"\x80\x02."})
rewritten("outside", lambda m: m | {"../x": b""})
rewritten("big-endian", lambda m: m | {"plain/byteorder": b"big"})
with zipfile.ZipFile(folder / "compressed", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("x/data.pkl", b"\x80\x02" + b"]0" * 1_000_000 + b"N.")
plain = (folder / "plain").read_bytes()
(folder / "cut").write_bytes(plain[: len(plain) // 2])
(folder / "prefix").write_bytes(b"#!/bin/sh\n" + plain)
(folder / "safetensors cut").write_bytes(struct.pack("<Q", 1 << 40) + b"{" + b"x" * 20)
header = b'{"a":{"dtype":"F32","shape":[99999999999,99999999],"data_offsets":[0,8]}}'.ljust(90)
(folder / "safetensors bomb").write_bytes(struct.pack("<Q", 90) + header + b"x" * 8)

with zipfile.ZipFile(folder / "plain") as archive:
    (original,) = (archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
pickled("shape too large", original.replace(b"K\x02K\x03\x86", b"K\xffK\xff\x86"))
pickled("offset", original.replace(b"K\x00K\x02K\x03\x86", b"K\x05K\x02K\x03\x86"))
pickled("count", original.replace(b"K\x06tq", b"J\xff\xff\xff\x7ftq"))

storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ"
tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0("
pickled("dimensions", b"\x80\x02" + tensor + b"J\xff\xff\xff\x7f" * 5_000 + b"t(" + b"K\0" * 5_000 + b"t\x89}tR.")

def old(name, content, keys=b"]"):
    system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s."
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    begin = magic + b"\x80\x02M\xe9\x03." + system
    (folder / name).write_bytes(begin + b"\x80\x02" + content + b".\x80\x02" + keys + b".")

old("old deep keys", b"}", b"](" + b")" + b"\x85" * 100_000 + b"e")
old("old laughs", b"}", b"](" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"e")
old("old long text", b"\x8d" + (1 << 60).to_bytes(8, "little") + b"x")

# torch.load must not be within reach, nor Python's unpickler.
def forbidden(*_, **__):
    RAN.touch()
    raise AssertionError("an unpickler was called")
torch.load = torch.jit.load = pickle.load = pickle.loads = forbidden
pickle.Unpickler = pickle._Unpickler = forbidden

told = {}
for path in sorted(folder.iterdir()):
    if path == RAN:
        continue
    try:
        told[path.name] = f"read {sorted(tensors.read_weights(path))}"
    except BadInput as error:
        told[path.name] = str(error)
    except BaseException as error:
        told[path.name] = f"TRACEBACK {type(error).__name__}: {error}"
    if RAN.exists():
        told[path.name] = "RAN " + told[path.name]
        RAN.unlink()
print(json.dumps(told))
"""

ROUND_TRIP = r"""
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import timm, torch
from sparsebench.sparsify import tensors

folder = Path(sys.argv[1])
def same(a, b):
    return (a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride()
            and a.contiguous().flatten().view(torch.uint8).equal(b.contiguous().flatten().view(torch.uint8))
            if a.dim() and a.numel() else a.dtype == b.dtype and a.shape == b.shape and a.equal(b))

told = {}
def trip(name, content, **how):
    file = folder / f"{len(told)}.pt"
    torch.save(content, file, **how)
    found = tensors.read_weights(file)
    told[name] = list(found) == list(content) and all(same(found[key], content[key]) for key in content)
    return found

torch.manual_seed(0)
for network in ("mobilenetv1_100", "mobilevit_xs", "resnet18"):
    state = timm.create_model(network).state_dict()
    for old in (False, True):
        trip(f"{network} {old}", state, _use_new_zipfile_serialization=not old)
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        cast = {key: value.to(kind) if value.is_floating_point() else value for key, value in state.items()}
        trip(f"{network} {kind}", cast)

noise = torch.randn(64)
noise[3], noise[5], noise[7] = float("nan"), float("inf"), -0.0
whole = torch.arange(24).reshape(2, 3, 4)
whole_numbers = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool)
kinds = {str(kind): torch.arange(-4, 8).to(kind) for kind in whole_numbers}
odd = kinds | {
    "special": noise, "0-dim": torch.tensor(3.5), "0-dim int": torch.tensor(1 << 60), "empty": torch.empty(0, 3),
    "transposed": whole.transpose(0, 2), "part": whole[1, ::2], "expanded": torch.ones(1).expand(4, 5),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(torch.randn(3)).detach(),
}
for old in (False, True):
    for protocol in (2,) if old else (2, 3, 4, 5):
        trip(f"odd {old} {protocol}", odd, _use_new_zipfile_serialization=not old, pickle_protocol=protocol)
shared = torch.randn(10)
found = trip("shared", {"a": shared[:5], "b": shared[3:], "c": shared})
told["shared storage"] = len({tensor.untyped_storage().data_ptr() for tensor in found.values()}) == 1
file = folder / "checkpoint.pt"
parameter = torch.nn.Parameter(torch.ones(2))
torch.save({"state_dict": {"w": parameter}, "epoch": 3, "best": 0.5, "names": ["a", None, True]}, file)
told["checkpoint"] = list(tensors.read_weights(file)) == ["w"]
print(json.dumps(told))
"""


def told(python: str, environment: dict[str, str], script: str, folder: Path) -> dict[str, Any]:
    program = folder.with_suffix(".py")  # a file: TorchScript wants to see its source
    program.write_text(script)
    command = [python, str(program), str(folder)]
    return json.loads(subprocess.check_output(command, env=environment, text=True).splitlines()[-1])


@pytest.fixture(scope="module")
def files(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each file, by name."""
    return told(python, environment, FILES, tmp_path_factory.mktemp("files"))


def test_no_file_runs_anything_and_each_is_taken_or_refused_in_one_line(files: dict[str, str]) -> None:
    assert {
        name: message for name, message in files.items() if message.startswith(("RAN", "TRACEBACK")) or "\n" in message
    } == {}
    assert {name for name, message in files.items() if message.startswith("read")} == {"plain", "old"}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("system", "it holds 'posix.system'"),
        ("setstate", "it holds '__main__.Stateful'"),
        ("old system", "it holds 'posix.system'"),
        ("two directories", "it is an archive of another kind"),
        ("two ends", "its archive is damaged"),
        ("script", "it is an archive of another kind"),
        ("tar", "it is of another kind"),
        ("tar and zip", "it is of another kind"),
        ("tar with link", "it is of another kind"),
        ("prefix", "it is of another kind"),
        ("empty", "it is of another kind"),
        ("bare pickle", "it is of another kind"),
        ("compressed", "compressed or encrypted"),
        ("state for a class", "it gives a state to an object"),
        ("new object", "it holds '__main__.Stateful'"),
        ("object", "it has the opcode INST"),
        ("extension", "it has the opcode EXT1"),
        ("hash that takes for ever", "it has a tuple as a key"),
        ("laughs", "holds a list: expected tensors by name"),
        ("deep", "holds a list: expected tensors by name"),
        ("shape too large", "a tensor has more numbers than there are"),
        ("offset", "a tensor has more numbers than there are"),
        ("count", "its tensors are larger than itself"),
        ("old cut", "it is cut"),
        ("dimensions", "it has a tensor of 5000 dimensions"),
        ("old deep keys", "its numbers are not those of its tensors"),
        ("old laughs", "its numbers are not those of its tensors"),
        ("old long text", "its pickle is damaged"),
        ("old longer", "it has something behind its end"),
        ("code beside", "with 'code/__torch__.py' in it"),
        ("constants", "with 'constants.pkl' in it"),
        ("big-endian", "its numbers are not little-endian"),
        ("storage missing", "the numbers '0' are missing"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(files: dict[str, str], case: str, message: str) -> None:
    assert message in files[case]


def test_real_tensors_come_back_to_the_bit(python: str, environment: dict[str, str], tmp_path: Path) -> None:
    results = told(python, environment, ROUND_TRIP, tmp_path)

    assert [name for name, same in results.items() if not same] == []
    assert len(results) > 20


def test_nothing_in_the_package_can_unpickle() -> None:
    package = Path(__file__).parents[3] / "include" / "sparsebench"
    unpicklers = (
        "torch.load",
        "torch.jit.load",
        "pickle.load",
        "Unpickler",
        "weights_only",
        "allow_pickle=True",
        "joblib",
    )
    calls = {
        f"{file.relative_to(package)}: {word}"
        for file in package.rglob("*.py")
        for word in unpicklers
        if word in file.read_text()
    }
    assert calls == set()
