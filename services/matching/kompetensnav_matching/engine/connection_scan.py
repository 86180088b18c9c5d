"""When one has to leave at the latest: the connection scan of Dibbelt, Pajor, Strasser and Wagner (2013),
backwards from a time of arrival.

A connection is one vehicle's ride from a stop to its next. All of a day's, from the last departure to the
first, are looked at once: one is of use if its vehicle goes on to something of use, or if from where it stops
something of use leaves late enough.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
NEVER = -1


class Timetable(NamedTuple):
    """A day's connections, the last to depart first, and walks between stops; times in seconds of the day."""

    start: Int32s
    """Stop it leaves. Shape (connections,), as the next four."""
    end: Int32s
    departs: Int32s
    arrives: Int32s
    trip: Int32s
    trips: int
    walk_from: Int64s
    """Shape (stops + 1,): the walks that end in stop s are walk_from[s] to walk_from[s + 1]."""
    walk_start: Int32s
    """Stop that each walk starts from."""
    walk_seconds: Int32s
    change: int
    """Seconds to change vehicles at a stop."""


@compiled
def latest_departures(table: Timetable, to_place: Int32s, by: int) -> Int32s:
    """When one has to leave each stop (stops,) at the latest to be there `by`; -1 = too late on that day.

    `to_place` (stops,): seconds to walk from each stop to the place, -1 = too far.
    """
    stops = to_place.size
    leave, board = np.full(stops, np.int32(NEVER)), np.full(stops, np.int32(NEVER))
    ride = np.full(stops, np.int32(NEVER))  # the last vehicle of use from the stop itself
    reached = np.zeros(table.trips, np.bool_)
    for s in range(stops):
        if to_place[s] >= 0:
            leave[s] = by - to_place[s]
    for c in range(table.start.size):
        at_end, start = table.end[c], table.start[c]
        on_foot = to_place[at_end] >= 0 and table.arrives[c] + to_place[at_end] <= by
        on_wheels = board[at_end] >= table.arrives[c] + table.change
        if not (reached[table.trip[c]] or on_foot or on_wheels):
            continue
        reached[table.trip[c]] = True
        if table.departs[c] <= ride[start]:
            continue
        ride[start] = table.departs[c]
        board[start] = max(board[start], table.departs[c])
        leave[start] = max(leave[start], table.departs[c])
        for w in range(table.walk_from[start], table.walk_from[start + 1]):
            near = table.walk_start[w]
            away = np.int32(table.departs[c] - table.walk_seconds[w])
            # who walks here has changed already: a vehicle may arrive there just before the walk starts
            board[near] = max(board[near], away)
            leave[near] = max(leave[near], away)
    return leave


def minutes_between(table: Timetable, walks: NDArray[np.integer], by: NDArray[np.integer]) -> Int32s:
    """Minutes from leaving each place to having to be in each other, the least for any of the times `by`
    (seconds of the day); -1 where there is no way. Shape (places, places), from the row to the column.

    `walks` (places, stops): seconds to walk between a place and a stop, -1 = too far.
    """
    places = len(walks)
    best = np.full((places, places), np.iinfo(np.int32).max, np.int32)
    near = walks >= 0
    for to in range(places):
        for time in by:
            leave = latest_departures(table, walks[to].astype(np.int32), int(time))
            for home in range(places):
                use = near[home] & (leave > NEVER)
                if use.any():
                    latest = int((leave[use] - walks[home][use]).max())
                    if latest >= 0:
                        best[home, to] = min(best[home, to], -((latest - int(time)) // 60))
    best[best == np.iinfo(np.int32).max] = -1
    np.fill_diagonal(best, 0)
    return best
