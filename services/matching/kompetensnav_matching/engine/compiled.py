"""How a kernel is compiled: to machine code at its first call, kept on disk, without Python's lock."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code; `function.py_func` is the plain Python it was made from."""
    return cast(Function, njit(cache=True, nogil=True)(function))
