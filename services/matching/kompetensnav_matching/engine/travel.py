"""Travel from distance, where no timetable is known: an estimate, and marked as one wherever it is used.

4 minutes to set out, 40 km/h for the first 8 km of road and 80 km/h beyond; road is 1.3 x the great circle
(a common circuity; Ballou et al. 2002), earth radius 6,371.0088 km (IUGG mean).
"""

import math

from kompetensnav_matching.engine.compiled import compiled

RADIUS_KM = 6371.0088
ROAD = 1.3


@compiled
def tenths_by_road(kilometres: float) -> int:
    """Tenths of a minute for kilometres as the crow flies."""
    road = kilometres * ROAD
    return int(10 * (4.0 + (road * 1.5 if road < 8 else 12 + (road - 8) * 0.75)))


@compiled
def reach(minutes: float) -> float:
    """Kilometres as the crow flies that can be reached in so many minutes."""
    return ((minutes - 4.0) / 1.5 if minutes < 16 else 8 + (minutes - 16.0) / 0.75) / ROAD


@compiled
def kilometres(chord: float) -> float:
    """Great-circle distance for the straight distance between two points on the unit sphere."""
    return 2 * RADIUS_KM * math.asin(min(1.0, 0.5 * chord))
