"""Processes that are forked: what a child must set right before it goes on.

A child has only the thread that forked, but inherits locks that other threads hold and
pools of OpenMP whose threads are gone: torch and scikit-learn then wait for ever in the
first operation that has work for two threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType


def in_forked_child(function: Callable[[], None]) -> Callable[[], None]:
    """Decorate what is to be called in every child process that is forked."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


@in_forked_child
def _use_one_thread() -> None:
    """Use the pools of OpenMP no more: with one thread, nothing is handed to them."""
    # another thread may just be importing it
    limit = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if limit is not None:
        limit(1)
    if "sklearn" in sys.modules:
        from threadpoolctl import ThreadpoolController

        ThreadpoolController().limit(limits=1, user_api="openmp")


class Lock:
    """A lock that a child process has free, whoever held it in the parent."""

    def __init__(self) -> None:
        self._renew()
        in_forked_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
