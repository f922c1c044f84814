"""What a person or a program can ask of the platform, beside looking at it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform import datasets, devices, memory, planning, quotas
from ad_platform.code_version import code_version
from ad_platform.devices import DeviceChoice
from ad_platform.errors import AdctlWarning, Conflict, InvalidRequest
from ad_platform.following import Following
from ad_platform.queues import QueueChange, QueueLoad, QueueState, named
from ad_platform.quotas import QuotaState
from ad_platform.records import Holding, Job, Quota
from ad_platform.requests import Promotion, Scheduling, Submitted, TrainRequest
from ad_platform.rungs import no_model
from ad_platform.specs import DatasetRef, JobSpec, Json, Submission
from ad_platform.states import JobKind
from ad_platform.why import warnings as what_keeps

if TYPE_CHECKING:
    from ad_platform.benchmarks.outlook import Outlook
    from ad_platform.benchmarks.steering import BenchmarkPlan, Benchmarks
    from ad_platform.pictures.pushing import PushResult, Told
    from ad_platform.registry.promotion import Proposal, Wish
    from ad_platform.retention.collecting import Collector
    from ad_platform.sweeps.steering import Sweeps

FIRST = "#0"  # stands for the first job of the same submit


class Client(Following):
    """Submits, shows and steers jobs; safe to keep for hours, made for one thread.

    `with Client() as client:` connects to the platform that the environment names, as `adctl` does, once
    something is asked. It needs no torch. Whatever goes wrong is an `ad_platform.errors.AdctlError`, whose
    text says what to do. Threads take a client each: the store decides every race between them.
    """

    def train(
        self,
        detector: str,
        *,
        data: Path | str | None = None,
        dataset: str | None = None,
        category: str | None = None,
        preset: str | None = None,
        settings: Mapping[str, Json] | None = None,
        seed: int = 0,
        device: str = "auto",
        holdout: str | None = None,
        evaluate: bool = True,
        push: bool = False,
        scheduling: Scheduling | None = None,
    ) -> Job:
        """Submit a fit and the evaluation that follows it, and return the fit.

        With `push` the images are brought into the storage first, for workers that do not have them.

        What may be in its way is an AdctlWarning. The images are a category's folder, `data`, or a `dataset`
        and `category` by name. `settings` go over those of the preset. Raises UnknownName, InvalidValue and
        InvalidData for what cannot be.
        """
        detector = self.catalogue().entry(detector).name  # a mistyped name is said before any picture is read
        found = datasets.find(self, None if data is None else Path(data), dataset, category)
        request = TrainRequest(
            detector=detector,
            dataset=found.ref,
            preset=preset,
            settings=dict(settings or {}),
            seed=seed,
            device=device,
            holdout=holdout,
            evaluate=evaluate,
            scheduling=scheduling or Scheduling(),
        )
        plan, note = datasets.evaluable(self.plan_train(request), found)
        self.device_of(plan[0])
        if found.here:
            self.hold(found.ref)
            if push:
                self.push(found.ref)
        return self._warned(self.submit(plan), note)

    def evaluate(
        self,
        job: Job | str,
        *,
        data: Path | str | None = None,
        attacks: Sequence[str] = (),
        scheduling: Scheduling | None = None,
    ) -> Job:
        """Submit the evaluation of a train job's model, on its own category unless `data` names a folder.

        `attacks` are tried against the model, such as "linf" or "l2:eps=0.5" (`ad_platform.attacks`).
        """
        found = None if data is None else datasets.find(self, Path(data), None, None)
        if found is not None and found.here:
            self.hold(found.ref)
        plan = self.plan_evaluate(self.job(job).id, found.ref if found else None, scheduling, attacks)
        return self._warned(self.submit(plan), "")

    @cached_property
    def benchmarks(self) -> "Benchmarks":
        """Return what can be asked of benchmarks."""
        from ad_platform.benchmarks.steering import Benchmarks

        return Benchmarks(self)

    def outlook(self, plan: "BenchmarkPlan", images: dict[str, tuple[int | None, int | None]]) -> "Outlook":
        """Return how long a benchmark will take; `images` are what a category has to train and test on."""
        from ad_platform.benchmarks.outlook import outlook

        return outlook(self.store, plan, images)

    @cached_property
    def collector(self) -> "Collector":
        """Return what takes files away that nothing needs, and brings them back."""
        from ad_platform.retention.collecting import Collector

        return Collector(self.store, self.storage, self.settings, self._monotonic, self._pause)

    @cached_property
    def sweeps(self) -> "Sweeps":
        """Return what can be asked of sweeps."""
        from ad_platform.sweeps.steering import Sweeps

        return Sweeps(self)

    def _warned(self, submitted: Submitted, note: str) -> Job:
        for words in filter(None, (note, *submitted.warnings)):
            warnings.warn(words, AdctlWarning, stacklevel=3)
        return submitted.jobs[0]

    def plan_train(self, request: TrainRequest) -> list[Submission]:
        """Return what a request would submit, checked, without submitting it."""
        planning.check(request.scheduling)
        entry = self.catalogue().entry(request.detector)
        planning.check_parallel(entry, request.scheduling.gpus)
        spec = planning.train_spec(entry, request)
        scheduling = planning.honest(request.scheduling, entry, spec.preset)
        train = self._submission(spec, scheduling)
        if not request.evaluate:
            return [train]
        evaluation = planning.evaluation_spec(spec, request.dataset, FIRST)
        return [train, self._evaluation(evaluation, scheduling)]

    def submit_train(self, request: TrainRequest) -> Submitted:
        """Submit a fit and, unless told not to, the evaluation that follows it, in one transaction.

        Raises InvalidRequest where all that could run it have a card that cannot be used.
        """
        plan = self.plan_train(request)
        self.device_of(plan[0])
        return self.submit(plan)

    def device_of(self, submission: Submission) -> DeviceChoice:
        """Say what a job will compute on, and why; raise InvalidRequest where no worker could honour it."""
        spec, roster = submission.spec, self.store.workers.roster()
        able = [
            worker
            for worker in roster
            if submission.queue in worker.queues and spec.detector in worker.detectors
        ]
        return devices.choice("cuda" if submission.gpus and spec.device == "auto" else spec.device, able)

    def plan_evaluate(
        self,
        text: str,
        dataset: DatasetRef | None = None,
        scheduling: Scheduling | None = None,
        attacks: Sequence[str] = (),
    ) -> list[Submission]:
        """Return what an evaluation of a train job's model would submit: on its own category unless told."""
        source = self.store.jobs.find(text)
        if source.kind is JobKind.TRIAL:
            raise InvalidRequest(no_model(source))
        if source.kind is not JobKind.TRAIN:
            raise InvalidRequest(
                f"job {source.id} is of kind {source.kind}; only train jobs can be evaluated"
            )
        wanted = planning.inherited(scheduling or Scheduling(queue=source.queue), source)
        planning.check(wanted)
        data = dataset or source.spec.dataset
        tried = planning.attacks(self.catalogue(), source.spec.detector, attacks)
        return [self._evaluation(planning.evaluation_spec(source.spec, data, source.id, tried), wanted)]

    def submit_evaluate(
        self, text: str, dataset: DatasetRef | None = None, scheduling: Scheduling | None = None
    ) -> Submitted:
        """Submit the evaluation of a train job's model."""
        return self.submit(self.plan_evaluate(text, dataset, scheduling))

    def submit(self, submissions: Sequence[Submission]) -> Submitted:
        """Submit all or none; a broker that does not answer is no failure, since the rings stay owed."""
        jobs = self.store.jobs.submit(submissions)
        warnings = [_other_settings(job, ask) for job, ask in zip(jobs, submissions, strict=True)]
        rung, trouble = self._ring()
        if trouble:
            warnings.append(f"{trouble}; the jobs are safe in the store and will be announced later")
        warnings.extend(what_keeps(self, jobs))
        return Submitted(jobs=tuple(jobs), rung=rung, warnings=tuple(dict.fromkeys(filter(None, warnings))))

    def cancel(self, job: Job | str) -> Job:
        """Ask for a job to end, and return it."""
        return self.store.jobs.cancel(self.job(job).id)

    def retry(self, text: Job | str) -> Submitted:
        """Run an ended job again as a new one that goes on from its checkpoints."""
        job = self.store.jobs.retry(self.job(text).id)
        rung, trouble = self._ring()
        warnings = (*((trouble,) if trouble else ()), *what_keeps(self, [job]))
        return Submitted(jobs=(job,), rung=rung, warnings=warnings)

    def promote(
        self,
        text: Job | str,
        alias: str,
        *,
        force: bool = False,
        reason: str = "",
        chosen: "Mapping[str, Json] | None" = None,
    ) -> Promotion:
        """Decide that a job's model carries an alias; raises GateRefused and ChampionChanged.

        `chosen` says how it was chosen among others: whoever chose by test labels is refused.
        """
        from ad_platform.registry.promotion import Wish

        user = self.settings.user
        return self.decide(
            text, Wish(alias=alias, user=user, force=force, reason=reason, chosen=chosen or {})
        )

    def propose(self, text: Job | str, wish: "Wish") -> "Proposal":
        """Return what a promotion would come to, with what every gate says, and change nothing."""
        from ad_platform.registry.limits import AllLimits
        from ad_platform.registry.promotion import propose

        return propose(self.store, self.storage, self.job(text), wish, AllLimits.read(self.settings.home))

    def decide(self, text: Job | str, wish: "Wish") -> Promotion:
        """Make a promotion with all that can be wished of one."""
        from ad_platform.registry.limits import AllLimits
        from ad_platform.registry.promotion import decide

        limits = AllLimits.read(self.settings.home)
        return Promotion(champion=decide(self.store, self.storage, self.job(text), wish, limits))

    def roll_back(self, model: str, alias: str, *, reason: str, to: int | None = None) -> Promotion:
        """Make an earlier decision the one in force again, as a new revision."""
        from ad_platform.registry.limits import AllLimits
        from ad_platform.registry.promotion import roll_back

        limits, user = AllLimits.read(self.settings.home), self.settings.user
        return Promotion(
            champion=roll_back(self.store, self.storage, model, alias, user, reason, to=to, limits=limits)
        )

    def await_registry(self, promotion: Promotion, seconds: float) -> Promotion:
        """Wait until the registry shows a decision, or one that replaced it; give up after a while."""
        deadline = self._monotonic() + seconds
        champion = promotion.champion
        while champion.published is None and self._monotonic() < deadline:
            self._pause(0.5)
            champion = self.store.champions.current(champion.model, champion.alias) or champion
        return Promotion(champion=champion)

    def drain(self, worker_id: str) -> None:
        """Tell a worker to give back what it runs and take nothing more."""
        self.store.workers.drain(worker_id)

    def pause_queue(self, text: str, reason: str = "") -> QueueChange:
        """Let a queue give out no job until it is resumed; the first pause stands. Raises UnknownName."""
        name = named(text, self.queues())
        changed = self.store.queues.pause(name, self.settings.user, reason)
        return QueueChange(queue=self._queue_state(name), changed=changed)

    def resume_queue(self, text: str) -> QueueChange:
        """Let a queue give out jobs again, and wake its workers. Raises UnknownName."""
        name = named(text, self.queues())
        changed = self.store.queues.resume(name)
        _, trouble = self._ring() if changed else (True, "")
        return QueueChange(queue=self._queue_state(name), changed=changed, trouble=trouble)

    def quotas(self) -> list[QuotaState]:
        """Return how much users' jobs may take at a time, and take, by user."""
        return quotas.states(self.store)

    def set_quota(self, user: str, *, gpus: int | None, jobs: int | None) -> QuotaState:
        """Let a user's jobs take no more than this at a time; what runs goes on. Raises InvalidValue."""
        wanted = Quota(user=user, gpus=gpus, jobs=jobs, set_by=self.settings.user)
        kept = self.store.quotas.set(wanted)
        self._ring()
        return quotas.state(self.store, kept)

    def clear_quota(self, user: str) -> str:
        """Lift a user's quota, wake workers for what it kept, and return whose it was. Raises UnknownName."""
        name = quotas.clear(self.store, user)
        self._ring()
        return name

    def _queue_state(self, name: str) -> QueueState:
        gone = QueueState(load=QueueLoad(name=name))  # nothing holds it any more
        return next((queue for queue in self.queues() if queue.name == name), gone)

    def push(
        self, data: DatasetRef, told: "Told" = lambda done, of: None, *, check: bool = False
    ) -> "PushResult":
        """Bring a category's pictures into the storage, so that any worker can fetch them.

        What is there already is not sent again; with `check` it is read back first. `told` hears how many
        files of all are there. Raises InvalidData for files that changed meanwhile, StorageDown, DiskFull.
        """
        from ad_platform.pictures.pushing import Pusher

        return Pusher(self.store, self.storage, self.settings, check=check).category(data, told)

    def pull(self, fingerprint: str, folder: Path, told: "Told" = lambda done, of: None) -> int:
        """Copy pushed pictures into a folder, overwriting nothing, and return how many files came.

        Raises Conflict where the storage lacks them, InvalidData for what is in the way or broken, and
        StorageDown.
        """
        from ad_platform.pictures.pulling import pull
        from ad_platform.pictures.sets import read_set

        found = read_set(self.storage, fingerprint)
        if found is None:
            raise Conflict(f"pictures {fingerprint[:12]} are not in the storage: adctl doctor says more")
        return pull(self.storage, self.settings, found, folder, told)

    def unpush(self, fingerprint: str) -> bool:
        """Let no worker fetch a category any more; False if a job that has not ended needs it.

        Its files stay in the storage until a collection takes them. Raises StorageDown.
        """
        from ad_platform.storage.layout import set_path

        if not self.store.pushed.forget(fingerprint):
            return False
        self.storage.delete([set_path(fingerprint)])
        return True

    def hold(self, data: DatasetRef) -> None:
        """Remember that a category lies on this machine."""
        self.store.workers.hold(
            [
                Holding(
                    node=self.settings.node,
                    fingerprint=data.fingerprint,
                    dataset=data.dataset,
                    category=data.category,
                    path=data.path,
                )
            ]
        )

    def _submission(self, spec: JobSpec, scheduling: Scheduling, needs: tuple[str, ...] = ()) -> Submission:
        asked = Submission(
            spec=spec,
            user=self.settings.user,
            key=scheduling.key,
            name=scheduling.name,
            tags=dict(scheduling.tags),
            group=scheduling.group,
            queue=scheduling.queue,
            priority=scheduling.priority,
            gpus=planning.cards(spec.device, scheduling.gpus),
            memory_mb=scheduling.memory_mb or 0,
            preemptible=scheduling.preemptible,
            needs=needs,
            max_attempts=scheduling.max_attempts,
            timeout=scheduling.timeout,
            code=self.code,
        )
        return asked if scheduling.memory_mb is not None else memory.with_usual(self.store, asked)

    def _evaluation(self, spec: JobSpec, scheduling: Scheduling) -> Submission:
        need = spec.source or FIRST
        if scheduling.gpus is not None:
            scheduling = replace(scheduling, gpus=1)  # it scores on one card, however many have trained
        submission = self._submission(spec, scheduling, needs=(need,))
        if need == FIRST and scheduling.key is not None:
            return replace(submission, key=f"{scheduling.key}/evaluate")
        return submission

    @cached_property
    def code(self) -> Mapping[str, str]:
        """Return which code submits: version, commit, and a hash of what is not committed."""
        return code_version() if self._given_code is None else self._given_code


def _other_settings(job: Job, asked: Submission) -> str:
    if asked.key is None or job.spec == asked.spec or job.kind is not JobKind.TRAIN:
        return ""
    return f"the key '{asked.key}' already stands for job {job.id}, which was asked for with other settings"
