"""Calls in another network namespace than this process's."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def inside(namespace: int, function: Callable[[], T]) -> T:
    """The result of `function` in a thread that has entered the namespace of this descriptor.

    A socket that it makes stays in that namespace, and keeps it alive. Raises OSError (EPERM without CAP_SYS_ADMIN).
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
