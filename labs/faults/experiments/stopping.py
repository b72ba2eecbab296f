"""A worker that is told to stop, as at each deploy."""

import signal
import subprocess
import time

import imageio_ffmpeg
from django.utils import timezone

from devtools.processes import Process
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import Project, comes_true, of_site, plain, signal_all
from workers import jobs
from workers.child_process import PARENT_SIGNALS
from workers.models import Job

LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}


def has_exited(worker: Process, seconds: float) -> bool:
    return comes_true(lambda: worker.poll() is not None, seconds)


class SigtermToEveryProcess(Experiment):
    """A deploy on a platform of dynos, which sends SIGTERM to every process. The tasks that run at that moment end at
    once, and are gone."""

    id = "lost-by-sigterm"
    fix, how = "Procfile", "`REMAP_SIGTERM=SIGQUIT`, and a grace period by workers/runtime/stopping.py"
    reads = "a task that has 1.5 s to go {state}"
    is_site = True

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker()
        project.send("work", 1.5)
        project.wait_for("begun")
        signal_all(worker, signal.SIGTERM)
        has_exited(worker, 10)
        if project.count("ended"):
            return {"state": "ends"}
        return {"state": "goes back to its queue" if project.ready() else "is lost"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "is lost")


class GracefulStop(Experiment):
    """SIGTERM to the main process, as Docker sends it: the worker waits for its task without a limit. The platform
    kills it after 30 s, and on Redis the message is away until the visibility timeout."""

    id = "graceful-stop"
    fix, how = "workers/runtime/stopping.py", "tasks see the signal, and after a grace period they are cancelled"
    reads = "12 s after the signal, the worker {state}"
    options = LATE
    is_site = True

    def measure(self, project: Project) -> Seen:
        worker = project.start_worker(GRACE_SECONDS="2")
        project.send("work", 60)
        project.wait_for("begun")
        worker.terminate()
        if not has_exited(worker, 12):
            return {"state": "is still at work"}
        return {"state": f"has ended, and {project.ready()} message waits in the queue"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "has ended, and 1 message waits in the queue")


class SoftShutdown(Experiment):
    """Celery's own remedy, `worker_soft_shutdown_timeout`, sleeps for its full time, also if the last task ended long
    ago. Each deploy takes that long."""

    id = "soft-shutdown"
    fix, how = "workers/runtime/stopping.py", "the worker exits when its last task has ended"
    reads = "with 8 s of grace and a task that has 1 s to go, the worker {state}"
    brokers = (VALKEY,)
    is_site = True

    def measure(self, project: Project) -> Seen:
        own = {"REMAP_SIGTERM": "SIGQUIT", "GRACE_SECONDS": "8"}
        project.options["worker_soft_shutdown_timeout"] = 8
        worker = project.start_worker(**own)
        project.send("work", 1)
        project.wait_for("begun")
        began = time.monotonic()
        signal_all(worker, signal.SIGTERM)
        has_exited(worker, 20)
        return {"state": "sleeps all 8 s" if time.monotonic() - began >= 8 else "exits before they are over"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "sleeps all 8 s")


class SigtermToPrograms(Experiment):
    """The same signal reaches the ffmpeg that a task has started. It exits with 255, the task takes its film for
    broken, and the user reads so."""

    id = "sigterm-to-every-process"
    fix, how = "workers/child_process.py", "programs start with the worker's signals blocked"
    reads = "ffmpeg {state}"
    brokers = (VALKEY,)

    def without(self) -> Seen:
        return self.stop()

    def with_fix(self) -> Seen:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)  # which a program inherits
        try:
            return self.stop()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> Seen:
        endless = ["-f", "lavfi", "-re", "-i", "testsrc", "-f", "null", "-"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "quiet", *endless]
        with subprocess.Popen(command) as program:  # noqa: S603 - ours
            time.sleep(1)
            program.terminate()
            time.sleep(1)
            code = program.poll()
            program.kill()
        return {"state": "goes on" if code is None else f"exits with {code}"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "goes on")


class RevokeAtRestart(Experiment):
    """A user cancels a task, and `revoke()` says nothing. Only the workers that live know of it: after a deploy the
    task runs all the same."""

    id = "revoke-at-restart"
    fix, how = "workers/jobs/lifecycle.py", "a cancel is a column of the job's row"
    reads = "after a restart, the cancelled task {state}"
    brokers = (VALKEY,)

    def without(self) -> Seen:
        with plain(self.broker, **LATE) as project:
            worker = self.keep_busy(project)
            project.client().control.revoke(project.send("work", 0, "cancelled"))
            return self.restart(project, worker)

    def with_fix(self) -> Seen:
        with of_site(self.broker) as project:
            worker = self.keep_busy(project)
            job = Job.objects.create(task="run_job", queue=project.queue, queued_at=timezone.now())
            project.send("run_job", str(job.pk))
            jobs.cancel(job)
            return self.restart(project, worker)

    def keep_busy(self, project: Project) -> Process:
        worker = project.start_worker()
        project.send("work", 60, "long")
        project.wait_for("begun long")
        return worker

    def restart(self, project: Project, worker: Process) -> Seen:
        time.sleep(1)
        signal_all(worker, signal.SIGKILL)
        worker.wait()
        project.start_worker()
        project.send("work", 0, "last")
        project.wait_for("ended last")
        return {"state": "runs" if project.count("begun cancelled") else "does not run"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "runs")


FAULTS: list[type[Experiment]] = [
    SigtermToEveryProcess,
    GracefulStop,
    SoftShutdown,
    SigtermToPrograms,
    RevokeAtRestart,
]
