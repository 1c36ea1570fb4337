"""The store: one folder tree behind a URI, ``file://…`` on one machine and ``s3://…`` on AWS.

This module alone knows the layout. Objects are immutable, content-addressed where they can be, and
every write is atomic: a reader sees the whole object or none. Only what tells how a job goes is replaced as it goes
on (``progress/``, ``outputs/``, ``launches/``, ``failures/``), and a night's ``report/`` is drawn again.

    artifacts/<sha256>.onnx                                    what is measured
    payloads/<sha256>.whl  locks/<sha256>.txt                  what an instance installs
    models/<network>/<variant>.json                            the newest model card of each variant
    requests/<job>.json                                        what an instance is to build or import
    checkpoints/<key>.pt                                       how far a training has come; the key is of its inputs
    checkpoints/<key>.json                                     how far an analysis of sensitivity has come
    trainings/<key>.json  sensitivities/<key>.json             what a training, an analysis found; of its inputs too
    nights/<night>/manifest.json                               the night's frozen inputs
    nights/<night>/jobs/<job>.json                             what an instance is to measure
    nights/<night>/trials/<instance_type>/<cell>/<trial>.json  one object a trial
    nights/<night>/hosts/<instance_type>/<instance_id>.json    the machine that measured
    nights/<night>/collections/<job>.json                      what a run measured, and what is missing
    nights/<night>/report/…                                    index.html, figures, tables as CSV
    progress/<job>.json                                        how far a job has come
    outputs/<job>.txt                                          what it printed, whole, when it has ended
    launches/<run key>/<instance_id>.json                      what a run launched: times and prices
    failures/<job>.json                                        why the last attempt of a job failed
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from sparsebench.contracts import (
    BenchRequest,
    Collection,
    Contract,
    Failure,
    HostFacts,
    ImportRequest,
    Launch,
    Manifest,
    ModelCard,
    Progress,
    SparsifyRequest,
    Trial,
    sha256,
)
from sparsebench.errors import IntegrityError, StoreError
from sparsebench.sparsify.results import Sensitivity, TrainingRecord

C = TypeVar("C", bound=Contract)


_S3 = {
    # Other processes write while we read.
    "use_listings_cache": False,
    "skip_instance_cache": True,
    # botocore signs URLs by version 2 in some regions, which S3 refuses for buckets of after June 2020.
    "config_kwargs": {"signature_version": "s3v4"},
}


class Store:
    """Typed access to the objects of one store.

    Raises:
        StoreError: the URI has no known scheme, or the object cannot be read or written.
        IntegrityError: content that does not have its digest.
    """

    def __init__(self, uri: str):
        self.uri = uri.rstrip("/")
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.uri, **(_S3 if uri.startswith("s3://") else {}))
        except (ValueError, ImportError) as error:
            raise StoreError(f"store {uri!r}: {error}; expected file:///folder or s3://bucket/prefix") from error

    @property
    def is_local(self) -> bool:
        return isinstance(self._fs, LocalFileSystem)

    # -------------------------------------------------------------------------------------- bytes

    def _path(self, path: str) -> str:
        if path.startswith(("/", "..")) or posixpath.normpath(path) != path:
            raise StoreError(f"path {path!r} leaves the store")
        return f"{self._root}/{path}"

    def exists(self, path: str) -> bool:
        return self._fs.exists(self._path(path))

    def read(self, path: str) -> bytes:
        try:
            return self._fs.cat_file(self._path(path))
        except FileNotFoundError as error:
            raise StoreError(f"{self.uri} has no {path}") from error
        except Exception as error:  # botocore, aiohttp and the file system each have their own
            raise StoreError(f"{self.uri}: cannot read {path}: {error}") from error

    def write(self, path: str, data: bytes) -> None:
        """Write or replace an object, atomically."""
        self._write(path, data, exclusive=False)

    def _write(self, path: str, data: bytes, exclusive: bool) -> None:
        """Write an object whole or not at all; where ``exclusive``, FileExistsError if it is there."""
        target = self._path(path)
        try:
            if not self.is_local:
                self._fs.pipe_file(target, data, mode="create" if exclusive else "overwrite")
                return
            os.makedirs(os.path.dirname(target), exist_ok=True)
            draft = f"{os.path.dirname(target)}/.{uuid.uuid4().hex}.tmp"
            try:
                with open(draft, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                (os.link if exclusive else os.replace)(draft, target)
            finally:
                Path(draft).unlink(missing_ok=True)
        except Exception as error:
            if exclusive and isinstance(error, FileExistsError) and self.exists(path):
                raise  # not: a file stands where a folder should be
            raise StoreError(f"{self.uri}: cannot write {path}: {error}") from error

    def write_once(self, path: str, data: bytes) -> bool:
        """Write an object that never changes; whether it was new. Another content under its name is an error."""
        try:
            self._write(path, data, exclusive=True)  # of two writers at once, one is first
        except FileExistsError:
            if self.read(path) != data:
                raise StoreError(f"{self.uri}: {path} exists with another content; it is never replaced") from None
            return False
        return True

    def paths(self, prefix: str) -> Iterator[str]:
        """The paths of all objects below a folder, sorted."""
        base = self._path(prefix)
        for found in sorted(self._fs.find(base)):
            path = str(found)[len(self._root) + 1 :]
            if not posixpath.basename(path).startswith("."):
                yield path

    def url(self, path: str, expires_s: int = 3600) -> str:
        """A URL that curl can GET: ``file://…``, or one that is signed for this object and this long."""
        if self.is_local:
            return Path(self._path(path)).as_uri()
        return self._fs.sign(self._path(path), expiration=expires_s)

    def check_writable(self) -> None:
        """Raises StoreError, naming the reason, when nothing could be written. Leaves nothing behind."""
        probe = f"progress/.probe-{uuid.uuid4().hex}"
        self.write(probe, b"")
        self._fs.rm_file(self._path(probe))

    # ------------------------------------------------------------------------------------ contracts

    def _load(self, model: type[C], path: str) -> C:
        try:
            return model.model_validate_json(self.read(path))
        except ValidationError as error:
            raise IntegrityError(f"{self.uri}: {path} is not a {model.__name__}: {error}") from error

    def _load_all(self, model: type[C], prefix: str) -> list[C]:
        return [self._load(model, path) for path in self.paths(prefix) if path.endswith(".json")]

    # Content-addressed: artifacts, payloads and locks.

    @staticmethod
    def artifact_path(digest: str) -> str:
        return f"artifacts/{digest}.onnx"

    @staticmethod
    def payload_path(digest: str) -> str:
        return f"payloads/{digest}.whl"

    @staticmethod
    def lock_path(digest: str) -> str:
        return f"locks/{digest}.txt"

    def put_artifact(self, data: bytes) -> str:
        return self._put(self.artifact_path, data)

    def put_payload(self, data: bytes) -> str:
        return self._put(self.payload_path, data)

    def put_lock(self, data: bytes) -> str:
        return self._put(self.lock_path, data)

    def _put(self, path_of, data: bytes) -> str:  # type: ignore[no-untyped-def]
        digest = sha256(data)
        if not self.exists(path_of(digest)):
            self.write(path_of(digest), data)
        return digest

    def artifact(self, digest: str) -> bytes:
        """An artifact's bytes, checked against its digest."""
        path = self.artifact_path(digest)
        data = self.read(path)
        if sha256(data) != digest:
            raise IntegrityError(f"{self.uri}: {path} has digest {sha256(data)}: it was edited or damaged")
        return data

    def fetch_artifact(self, digest: str, target: Path | None = None) -> None:
        """Check an artifact against its digest, chunk by chunk, writing it to ``target`` on the way.

        Raises:
            StoreError: there is no such artifact.
            IntegrityError: it is another content; ``target`` is then removed.
        """
        path = self.artifact_path(digest)
        found = hashlib.sha256()
        try:
            with self._fs.open(self._path(path), "rb") as source, open(target or os.devnull, "wb") as sink:
                while chunk := source.read(1 << 22):
                    found.update(chunk)
                    sink.write(chunk)
        except FileNotFoundError as error:
            raise StoreError(f"{self.uri} has no {path}") from error
        if found.hexdigest() != digest:
            if target:
                target.unlink()
            raise IntegrityError(f"{self.uri}: {path} has digest {found.hexdigest()}: it was edited or damaged")

    # Models.

    def put_model_card(self, card: ModelCard) -> None:
        self.write(f"models/{card.network}/{card.variant}.json", card.to_json())

    def model_cards(self) -> list[ModelCard]:
        return self._load_all(ModelCard, "models")

    @staticmethod
    def checkpoint_path(key: str) -> str:
        return f"checkpoints/{key}.pt"

    def put_training(self, key: str, training: TrainingRecord) -> None:
        self.write(f"trainings/{key}.json", training.to_json())

    def training(self, key: str) -> TrainingRecord:
        return self._load(TrainingRecord, f"trainings/{key}.json")

    def put_sensitivity(self, key: str, sensitivity: Sensitivity) -> None:
        self.write(f"sensitivities/{key}.json", sensitivity.to_json())

    def sensitivity(self, key: str) -> Sensitivity | None:
        path = f"sensitivities/{key}.json"
        return self._load(Sensitivity, path) if self.exists(path) else None

    def put_sensitivity_so_far(self, key: str, sensitivity: Sensitivity) -> None:
        self.write(f"checkpoints/{key}.json", sensitivity.to_json())

    def sensitivity_so_far(self, key: str) -> Sensitivity | None:
        """Of an analysis that may be under way: the layers that were tried whole."""
        path = f"checkpoints/{key}.json"
        return self._load(Sensitivity, path) if self.exists(path) else None

    # Nights.

    def nights(self) -> list[str]:
        """Nights that have a manifest, oldest first."""
        found = {path.split("/")[1] for path in self.paths("nights") if path.endswith("/manifest.json")}
        return sorted(found, key=lambda night: (night[:10], int(night[11:] or 0)))

    def has_manifest(self, night: str) -> bool:
        return self.exists(f"nights/{night}/manifest.json")

    def manifest(self, night: str) -> Manifest:
        path = f"nights/{night}/manifest.json"
        manifest = self._load(Manifest, path)
        if manifest.digest != manifest.computed_digest() or manifest.night != night:
            raise IntegrityError(
                f"{self.uri}: {path} was edited: its content has digest {manifest.computed_digest()}, "
                f"not {manifest.digest}; put the frozen file back, or measure under another night"
            )
        return manifest

    def freeze(self, manifest: Manifest) -> Manifest:
        """Make this the night's manifest, unless it has one; the one that holds from now on."""
        with contextlib.suppress(FileExistsError):
            self._write(f"nights/{manifest.night}/manifest.json", manifest.to_json(), exclusive=True)
        return self.manifest(manifest.night)

    @staticmethod
    def bench_request_path(request: BenchRequest) -> str:
        return f"nights/{request.night}/jobs/{request.job}.json"

    def put_bench_request(self, request: BenchRequest) -> str:
        path = self.bench_request_path(request)
        self.write_once(path, request.to_json())
        return path

    def bench_request(self, path: str) -> BenchRequest:
        return self._load(BenchRequest, path)

    def put_sparsify_request(self, request: SparsifyRequest) -> str:
        path = f"requests/{request.job}.json"
        self.write_once(path, request.to_json())
        return path

    def sparsify_request(self, path: str) -> SparsifyRequest:
        return self._load(SparsifyRequest, path)

    def put_import_request(self, request: ImportRequest) -> str:
        path = f"requests/{request.job}.json"
        self.write_once(path, request.to_json())
        return path

    def import_request(self, path: str) -> ImportRequest:
        return self._load(ImportRequest, path)

    def put_trial(self, trial: Trial) -> None:
        cell = trial.cell
        folder = f"nights/{trial.night}/trials/{cell.instance_type}/{cell.key}"
        self.write_once(f"{folder}/{trial.job}-{trial.generation}.json", trial.to_json())

    def trials(self, night: str, instance_type: str | None = None, job: str = "") -> list[Trial]:
        """A night's trials: of all instance types or of one, of all jobs or of one."""
        below = f"/{instance_type}" if instance_type else ""
        found = self.paths(f"nights/{night}/trials{below}")
        # A job's name may begin with another's, and generations are numbers: compare what is before the last dash.
        wanted = (path for path in found if job in ("", posixpath.basename(path).rpartition("-")[0]))
        return [self._load(Trial, path) for path in wanted if path.endswith(".json")]

    def put_host(self, night: str, host: HostFacts) -> None:
        self.write(f"nights/{night}/hosts/{host.instance_type}/{host.instance_id}.json", host.to_json())

    def hosts(self, night: str) -> list[HostFacts]:
        return self._load_all(HostFacts, f"nights/{night}/hosts")

    def put_collection(self, job: str, collection: Collection) -> None:
        self.write(f"nights/{collection.night}/collections/{job}.json", collection.to_json())

    def collections(self, night: str) -> list[Collection]:
        return self._load_all(Collection, f"nights/{night}/collections")

    def put_report(self, night: str, name: str, data: bytes) -> None:
        self.write(self.report_path(night, name), data)

    @staticmethod
    def report_path(night: str, name: str = "index.html") -> str:
        return f"nights/{night}/report/{name}"

    # Progress.

    def put_progress(self, progress: Progress) -> None:
        self.write(f"progress/{progress.job}.json", progress.to_json())

    def progress(self, job: str) -> Progress | None:
        path = f"progress/{job}.json"
        return self._load(Progress, path) if self.exists(path) else None

    @staticmethod
    def output_path(job: str) -> str:
        return f"outputs/{job}.txt"

    # What became of instances.

    def put_launch(self, run_key: str, launch: Launch) -> None:
        self.write(f"launches/{run_key}/{launch.instance_id}.json", launch.to_json())

    def launches(self, run_key: str) -> list[Launch]:
        """All instances of a run, the first one first."""
        return sorted(self._load_all(Launch, f"launches/{run_key}"), key=lambda launch: launch.launched_at)

    def put_failure(self, failure: Failure) -> None:
        self.write(f"failures/{failure.job}.json", failure.to_json())

    def failure(self, job: str) -> Failure | None:
        path = f"failures/{job}.json"
        return self._load(Failure, path) if self.exists(path) else None
