"""The store: one folder tree behind a URI, ``file://…`` on one machine and ``s3://…`` on AWS.

This module alone knows the layout. Objects are immutable, content-addressed where they can be, and
every write is atomic: a reader sees the whole object or none. Only what tells how a job goes is replaced as it goes
on (``progress/``, ``outputs/``, ``launches/``, ``failures/``), and a night's ``report/`` and ratios, and the
``history/`` of all, are drawn again.

    artifacts/<sha256>.onnx                                    what is measured
    payloads/<sha256>.whl  locks/<sha256>.txt                  what an instance installs
    wheelhouses/<lock's sha256>/<architecture>-<uv>.tar        every wheel of a lock, and of uv
    models/<network>/<variant>.json                            the newest model card of each variant
    requests/<job>.json                                        what an instance is to build or import
    checkpoints/<key>.pt                                       how far a training has come; the key is of its inputs
    checkpoints/<key>.json                                     how far an analysis of sensitivity has come
    trainings/<key>.json  sensitivities/<key>.json             what a training, an analysis found; of its inputs too
    profiles/<key>.json                                        how an engine computes a file on a kind of CPU
    instance_types/<region>/<instance_type>.json               what AWS said last that one has and costs
    nights/<night>/manifest.json                               the night's frozen inputs
    nights/<night>/instance_types/<instance_type>.json         the same of one that the manifest does not have
    nights/<night>/jobs/<job>.json                             what an instance is to measure
    nights/<night>/trials/<instance_type>/<cell>/<trial>.json  one object a trial
    nights/<night>/columns/<sha256>.parquet                    trials again, many in one file
    nights/<night>/hosts/<instance_type>/<instance_id>.json    the machine that measured
    nights/<night>/collections/<job>.json                      what a run measured, and what is missing
    nights/<night>/report/…                                    index.html, figures, tables as CSV
    nights/<night>/ratios.json                                 what the history needs of it
    history/changes.json                                       what changed over the nights, and was told
    progress/<job>.json                                        how far a job has come
    outputs/<job>.txt                                          what it printed, whole, when it has ended
    launches/<run key>/<instance_id>.json                      what a run launched: times and prices
    failures/<job>.json                                        why the last attempt of a job failed
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterable
from functools import partial

from sparsebench.contracts import (
    BenchRequest,
    Changes,
    Collection,
    Failure,
    HostFacts,
    ImportRequest,
    InstanceFacts,
    Launch,
    Manifest,
    ModelCard,
    NightRatios,
    Profile,
    Progress,
    Sensitivity,
    SparsifyRequest,
    TrainingRecord,
    Trial,
    content_digest,
    in_order,
    is_night,
)
from sparsebench.errors import IntegrityError
from sparsebench.store.blobs import Blobs
from sparsebench.store.objects import Unreadable

__all__ = ["Store", "Unreadable"]


class Store(Blobs):
    """Typed access to the objects of one store.

    Raises:
        StoreError: the URI has no known scheme, or an object cannot be read or written.
        IntegrityError: content that does not have its digest.
    """

    # Models.

    @staticmethod
    def model_card_path(card: ModelCard) -> str:
        return f"models/{card.network}/{card.variant}.json"

    def put_model_card(self, card: ModelCard) -> None:
        self.write(self.model_card_path(card), card.to_json())

    def model_cards(self, unreadable: list[Unreadable] | None = None) -> list[ModelCard]:
        return self._load_all(ModelCard, self._json("models"), self.model_card_path, unreadable)

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
        """The layers that were tried whole, of an analysis that may be under way."""
        path = f"checkpoints/{key}.json"
        return self._load(Sensitivity, path) if self.exists(path) else None

    # How engines compute.

    @staticmethod
    def profile_path(key: str) -> str:
        return f"profiles/{key}.json"

    def put_profile(self, profile: Profile) -> None:
        self.write(self.profile_path(profile.key), profile.to_json())

    def profile(self, key: str) -> Profile | None:
        path = self.profile_path(key)
        return self._load(Profile, path, lambda profile: self.profile_path(profile.key)) if self.exists(path) else None

    # What instance types have and cost.

    @staticmethod
    def instance_facts_path(facts: InstanceFacts) -> str:
        return f"instance_types/{facts.region}/{facts.name}.json"

    def put_instance_facts(self, facts: InstanceFacts) -> None:
        self.write(self.instance_facts_path(facts), facts.to_json())

    def instance_facts(self, region: str) -> dict[str, InstanceFacts]:
        """What AWS said last of those that were asked about, by name."""
        kept = self._load_all(InstanceFacts, self._json(f"instance_types/{region}"), self.instance_facts_path, None)
        return {facts.name: facts for facts in kept}

    def freeze_instance_facts(self, manifest: Manifest, facts: InstanceFacts) -> None:
        """Keep them with the night for ever, unless it has this type's."""
        if facts.name not in {known.name for known in manifest.instance_types}:
            with contextlib.suppress(FileExistsError):
                self._write(self._night_facts_path(manifest.night, facts), facts.to_json(), exclusive=True)

    @staticmethod
    def _night_facts_path(night: str, facts: InstanceFacts) -> str:
        return f"nights/{night}/instance_types/{facts.name}.json"

    def night_instance_facts(
        self, manifest: Manifest, unreadable: list[Unreadable] | None = None
    ) -> dict[str, InstanceFacts]:
        """What instance types had and cost when the night's runs were planned, by name."""
        place = partial(self._night_facts_path, manifest.night)
        paths = self._json(f"nights/{manifest.night}/instance_types")
        later = self._load_all(InstanceFacts, paths, place, unreadable)
        return {facts.name: facts for facts in (*later, *manifest.instance_types)}

    # Nights.

    def nights(self) -> list[str]:
        """Nights that were opened, oldest first. It is one listing, however much the nights hold."""
        return sorted(filter(is_night, self.folders("nights")), key=in_order)

    def has_manifest(self, night: str) -> bool:
        return self.exists(f"nights/{night}/manifest.json")

    def manifest(self, night: str) -> Manifest:
        path = f"nights/{night}/manifest.json"
        data = self.read(path)
        manifest, digest = self._parsed(Manifest, path, data), content_digest(data)
        if manifest.digest != digest or manifest.night != night:
            raise IntegrityError(
                f"{self.uri}: {path} was edited: its content has digest {digest}, "
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

    def put_bench_request(self, request: BenchRequest, format: int | None = None) -> str:
        """Write it for a payload that reads this format, or for this version's; its path."""
        path = self.bench_request_path(request)
        self.write_once(path, request.to_json(format))
        return path

    def bench_request(self, path: str) -> BenchRequest:
        return self._load(BenchRequest, path, self.bench_request_path)

    def bench_requests(self, night: str, unreadable: list[Unreadable] | None = None) -> list[BenchRequest]:
        """What the night's runs were to measure, whether or not they have."""
        return self._load_all(BenchRequest, self._json(f"nights/{night}/jobs"), self.bench_request_path, unreadable)

    @staticmethod
    def request_path(request: SparsifyRequest | ImportRequest) -> str:
        return f"requests/{request.job}.json"

    def put_sparsify_request(self, request: SparsifyRequest) -> str:
        path = self.request_path(request)
        self.write_once(path, request.to_json())
        return path

    def sparsify_request(self, path: str) -> SparsifyRequest:
        return self._load(SparsifyRequest, path, self.request_path)

    def put_import_request(self, request: ImportRequest) -> str:
        path = self.request_path(request)
        self.write_once(path, request.to_json())
        return path

    def import_request(self, path: str) -> ImportRequest:
        return self._load(ImportRequest, path, self.request_path)

    @staticmethod
    def trial_path(trial: Trial) -> str:
        cell = trial.cell
        folder = f"nights/{trial.night}/trials/{cell.instance_type}/{cell.key}"
        return f"{folder}/{trial.job}-{trial.generation}.json"

    def put_trial(self, trial: Trial) -> None:
        """Keep it for ever; where its place is taken by what cannot be read, instead of that."""
        path = self.trial_path(trial)
        if self.exists(path) and not self._load_all(Trial, [path], self.trial_path, []):
            self.write(path, trial.to_json())
        else:
            self.write_once(path, trial.to_json())

    def trials(
        self, night: str, instance_type: str | None = None, job: str = "", unreadable: list[Unreadable] | None = None
    ) -> list[Trial]:
        """A night's trials: of all instance types or of one, of all jobs or of one."""
        below = f"/{instance_type}" if instance_type else ""
        paths = self._json(f"nights/{night}/trials{below}")
        # A job's name may begin with another's, and generations are numbers: compare what is before the last dash.
        wanted = (path for path in paths if job in ("", posixpath.basename(path).rpartition("-")[0]))
        return self._load_all(Trial, wanted, self.trial_path, unreadable)

    def trial_paths(self, night: str) -> list[str]:
        """Of all trials of a night, sorted."""
        return list(self._json(f"nights/{night}/trials"))

    def trials_in(
        self, contents: Iterable[tuple[str, bytes]], unreadable: list[Unreadable] | None = None
    ) -> list[Trial]:
        """The trials that these objects are, given by path, checked as ``trials`` does."""
        return self._parse_all(Trial, contents, self.trial_path, unreadable)

    @staticmethod
    def columns_path(night: str, digest: str) -> str:
        return f"nights/{night}/columns/{digest}.parquet"

    def columns(self, night: str) -> list[str]:
        """The paths of the parts of a night that is sealed, sorted."""
        return [path for path in self.paths(f"nights/{night}/columns") if path.endswith(".parquet")]

    @staticmethod
    def host_path(night: str, host: HostFacts) -> str:
        return f"nights/{night}/hosts/{host.instance_type}/{host.instance_id}.json"

    def put_host(self, night: str, host: HostFacts) -> None:
        self.write(self.host_path(night, host), host.to_json())

    def hosts(self, night: str, unreadable: list[Unreadable] | None = None) -> list[HostFacts]:
        paths = self._json(f"nights/{night}/hosts")
        return self._load_all(HostFacts, paths, partial(self.host_path, night), unreadable)

    @staticmethod
    def collection_path(job: str, collection: Collection) -> str:
        return f"nights/{collection.night}/collections/{job}.json"

    def put_collection(self, job: str, collection: Collection) -> None:
        self.write(self.collection_path(job, collection), collection.to_json())

    def collections(self, night: str, unreadable: list[Unreadable] | None = None) -> list[Collection]:
        """What a night's runs measured. (A collection does not say the job that its place is named by.)"""
        collections = []
        for path in self._json(f"nights/{night}/collections"):
            place = partial(self.collection_path, posixpath.basename(path).removesuffix(".json"))
            collections += self._load_all(Collection, [path], place, unreadable)
        return collections

    def put_report(self, night: str, name: str, data: bytes) -> None:
        self.write(self.report_path(night, name), data)

    @staticmethod
    def report_path(night: str, name: str = "index.html") -> str:
        return f"nights/{night}/report/{name}"

    @staticmethod
    def night_ratios_path(night: str) -> str:
        return f"nights/{night}/ratios.json"

    def put_night_ratios(self, ratios: NightRatios) -> None:
        self.write(self.night_ratios_path(ratios.night), ratios.to_json())

    def has_night_ratios(self, night: str) -> bool:
        return self.exists(self.night_ratios_path(night))

    def night_ratios(self, night: str) -> NightRatios | None:
        """None where the night has no report yet, or one of before there was a history."""
        path = self.night_ratios_path(night)
        if not self.exists(path):
            return None
        return self._load(NightRatios, path, lambda ratios: self.night_ratios_path(ratios.night))

    def put_changes(self, changes: Changes) -> None:
        self.write("history/changes.json", changes.to_json())

    @staticmethod
    def history_path(name: str) -> str:
        """Of a figure of a change, or the numbers behind it."""
        return f"history/{name}"

    def history_files(self) -> set[str]:
        """The names of those that there are."""
        return {posixpath.basename(path) for path in self.paths("history")}

    def put_history(self, name: str, data: bytes) -> None:
        self.write(self.history_path(name), data)

    def changes(self) -> Changes | None:
        """What people were told of last; None where nobody looked for changes yet."""
        path = "history/changes.json"
        return self._load(Changes, path) if self.exists(path) else None

    # Progress.

    def put_progress(self, progress: Progress) -> None:
        self.write(self._progress_path(progress.job), progress.to_json())

    def progress(self, job: str) -> Progress | None:
        path = self._progress_path(job)
        return self._load(Progress, path, lambda kept: self._progress_path(kept.job)) if self.exists(path) else None

    @staticmethod
    def _progress_path(job: str) -> str:
        return f"progress/{job}.json"

    @staticmethod
    def output_path(job: str) -> str:
        return f"outputs/{job}.txt"

    # What became of instances.

    def put_launch(self, run_key: str, launch: Launch) -> None:
        self.write(self._launch_path(run_key, launch), launch.to_json())

    @staticmethod
    def _launch_path(run_key: str, launch: Launch) -> str:
        return f"launches/{run_key}/{launch.instance_id}.json"

    def launches(self, run_key: str) -> list[Launch]:
        """All instances of a run, the first one first."""
        place = partial(self._launch_path, run_key)
        launches = [self._load(Launch, path, place) for path in self._json(f"launches/{run_key}")]
        return sorted(launches, key=lambda launch: launch.launched_at)

    def put_failure(self, failure: Failure) -> None:
        self.write(self._failure_path(failure.job), failure.to_json())

    def failure(self, job: str) -> Failure | None:
        path = self._failure_path(job)
        return self._load(Failure, path, lambda kept: self._failure_path(kept.job)) if self.exists(path) else None

    @staticmethod
    def _failure_path(job: str) -> str:
        return f"failures/{job}.json"
