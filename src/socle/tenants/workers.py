"""Several stacks at once, each in a worker process: Python's part of a stack keeps one processor busy."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed

from socle.errors import SocleError
from socle.tenants.job import Job, run_job
from socle.tenants.stack import StackResult

WORKERS = max(2, os.cpu_count() or 2)
PR_SET_PDEATHSIG = 1


def together(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[StackResult]:
    """Run all jobs, at most ``WORKERS`` at once; results in the order of the jobs.

    Raises:
        SocleError: some failed; the others were finished.
    """
    results: dict[str, StackResult] = {}
    failures: list[str] = []
    context = multiprocessing.get_context("spawn")
    workers = min(WORKERS, len(jobs))
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_end_with, initargs=(os.getpid(),)
    ) as pool:
        futures = {pool.submit(run_job, job): job.plan for job in jobs}
        for future in as_completed(futures):
            plan = futures[future]
            error = future.exception()
            if error is None:
                results[plan.domain] = future.result()
            elif isinstance(error, SocleError):
                failures.append(f"{plan.description}: {error}")
            elif isinstance(error, BrokenExecutor):
                failures.append(f"{plan.description}: a worker was killed")
            else:
                raise error
            tell(f"{len(results)} of {len(jobs)}: {plan.description}")
    if failures:
        write = "repair the cause and run the same command again"
        raise SocleError(" | ".join(failures), where="tenants", write=write)
    return [results[job.plan.domain] for job in jobs]


def _end_with(parent: int) -> None:
    """Let a worker die with the run that started it, however that dies; Pulumi finishes what it began."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
