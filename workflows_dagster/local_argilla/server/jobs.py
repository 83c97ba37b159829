# pyright: reportMissingImports=false, reportUntypedBaseClass=false
"""The server's background jobs (webhooks, record states after a changed distribution), run by a thread of its own."""

import threading

from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE, REDIS_CONNECTION
from rq import Queue, SimpleWorker
from rq.scheduler import RQScheduler
from rq.timeouts import TimerDeathPenalty

POLL_S = 0.5


class ThreadWorker(SimpleWorker):
    """A worker outside the main thread, where no signal can end a job that takes too long."""

    death_penalty_class = TimerDeathPenalty


def start_worker() -> threading.Thread:
    """Starts the thread. It ends with the process, and the queues with it: they are in memory."""
    worker = threading.Thread(target=_work, name="jobs", daemon=True)
    worker.start()
    return worker


def _work() -> None:
    queues = [HIGH_QUEUE, DEFAULT_QUEUE]
    worker = ThreadWorker(queues, connection=REDIS_CONNECTION)
    worker.register_birth()
    # The scheduler hands over retries whose time has come; rq runs it as a process, which could not see this memory.
    scheduler = RQScheduler(queues, connection=REDIS_CONNECTION, logging_level="WARNING")
    scheduler.prepare_registries([queue.name for queue in queues])
    pause = threading.Event()
    while True:
        scheduler.enqueue_scheduled_jobs()
        found = Queue.dequeue_any(queues, timeout=None, connection=REDIS_CONNECTION)
        if found is None:
            pause.wait(POLL_S)
        else:
            worker.execute_job(*found)
