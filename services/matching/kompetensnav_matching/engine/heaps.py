"""Binary heaps in arrays: of packed keys (distance above 32 bits, number below), and of pairs."""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def push(heap: Int64s, size: int, key: int) -> int:
    """Adds a key; returns the new size."""
    at = size
    while at > 0:
        up = (at - 1) >> 1
        if heap[up] <= key:
            break
        heap[at] = heap[up]
        at = up
    heap[at] = key
    return size + 1


@compiled
def pop(heap: Int64s, size: int) -> int:
    """Takes the smallest key, heap[0], away; returns the new size."""
    size -= 1
    key, at = heap[size], 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key
    return size


@compiled
def push_pair(heap: Int64s, number: Int32s, size: int, key: int, value: int) -> int:
    """As `push`, for keys too large to be packed."""
    at = size
    while at > 0:
        up = (at - 1) >> 1
        if heap[up] <= key:
            break
        heap[at], number[at] = heap[up], number[up]
        at = up
    heap[at], number[at] = key, value
    return size + 1


@compiled
def pop_pair(heap: Int64s, number: Int32s, size: int) -> int:
    """As `pop`."""
    size -= 1
    key, value, at = heap[size], number[size], 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at], number[at] = heap[child], number[child]
        at = child
    heap[at], number[at] = key, value
    return size


@compiled
def grown(heap: Int64s, size: int) -> Int64s:
    """The heap, in an array twice as long when it is full."""
    if size < heap.size:
        return heap
    longer = np.empty(2 * heap.size, np.int64)
    longer[:size] = heap[:size]
    return longer


@compiled
def grown_number(number: Int32s, size: int) -> Int32s:
    """As `grown`, for the numbers that stand beside the keys."""
    if size < number.size:
        return number
    longer = np.empty(2 * number.size, np.int32)
    longer[:size] = number[:size]
    return longer
