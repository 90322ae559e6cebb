# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Between a sensor_msgs/NavSatFix and metres east, north and up of a place, its datum.

The axes are straight and do not turn with the Earth's curvature, so that no distance is
distorted, however far the datum is.
"""

from math import atan2, copysign, cos, degrees, hypot, inf, isfinite, nan, radians, sin, sqrt
from struct import Struct
from typing import List, NamedTuple, Optional, Sequence, Tuple

from liquid_ros.cdr import even, read_header
from liquid_ros.errors import ParameterError
from liquid_ros.geometry import NOT_KNOWN, transposed, turned, turned_variance

KIND = 'sensor_msgs/msg/NavSatFix'
FRAME = 'map'  # east, north, up: REP-105
NO_FIX, COVARIANCE_UNKNOWN, COVARIANCE_KNOWN = -1, 0, 3

# The ellipsoid of WGS 84 (NIMA TR8350.2, table 3.1): half its axes, squares of its eccentricities.
MAJOR_M, FLATTENING = 6378137.0, 1.0 / 298.257223563
MINOR_M = MAJOR_M * (1.0 - FLATTENING)
FIRST, SECOND = FLATTENING * (2.0 - FLATTENING), (MAJOR_M / MINOR_M)**2 - 1.0
ROUNDS = 3  # the second leaves 1e-9 m from -10 km to 10,000 km
HIGHEST_M = 1e8

_STATUS = Struct('<b')
_NUMBERS = Struct('<12dB')  # latitude, longitude, altitude, covariance, its type


class Place(NamedTuple):
    """On and above the ellipsoid: degrees north and east, metres."""

    latitude: float
    longitude: float
    altitude: float

    def __str__(self) -> str:
        """Return it to the millimetre."""
        return f'{self.latitude:.8f}, {self.longitude:.8f}, {self.altitude:.3f}'


def parsed(text: str) -> Optional[Place]:
    """
    Return a place of 'latitude, longitude[, altitude]', None for ''.

    Errors: ParameterError.
    """
    try:
        numbers = [float(word) for word in text.replace(',', ' ').split()]
    except ValueError:
        numbers = [nan]
    if not numbers:
        return None
    place = Place(*numbers, *[0.0] * (3 - len(numbers))) if len(numbers) in (2, 3) else None
    if place is None or not _is_on_earth(place) or not isfinite(place.altitude):
        raise ParameterError(f'datum: got {text!r}, expected latitude, longitude in degrees and, '
                             'where it matters, altitude in m, such as 48.1372, 11.5756, 519.0')
    return place


def _is_on_earth(place: Place) -> bool:
    return abs(place.latitude) <= 90.0 and abs(place.longitude) <= 360.0 and not (
        abs(place.altitude) > HIGHEST_M)


def _axes(place: Place) -> List[float]:
    """Return nine entries: east, north and up there, each along the axes of ECEF."""
    phi, lam = radians(place.latitude), radians(place.longitude)
    return [-sin(lam), cos(lam), 0.0,
            -sin(phi) * cos(lam), -sin(phi) * sin(lam), cos(phi),
            cos(phi) * cos(lam), cos(phi) * sin(lam), sin(phi)]


def _along(axes: Sequence[float], vector: Sequence[float]) -> Tuple[float, float, float]:
    x, y, z = vector
    east, north, up = (axes[i] * x + axes[i + 1] * y + axes[i + 2] * z for i in (0, 3, 6))
    return east, north, up


def to_ecef(place: Place) -> Tuple[float, float, float]:
    """Return earth-centred, earth-fixed x y z in m (NIMA TR8350.2, equation 4-14)."""
    phi, lam = radians(place.latitude), radians(place.longitude)
    curved = MAJOR_M / sqrt(1.0 - FIRST * sin(phi)**2)
    aside = (curved + place.altitude) * cos(phi)
    return aside * cos(lam), aside * sin(lam), (curved * (1.0 - FIRST) + place.altitude) * sin(phi)


def from_ecef(x: float, y: float, z: float) -> Place:
    """Return a place. Source: Bowring, Survey Review 23(181), 1976, iterated."""
    aside = hypot(x, y)
    beta = atan2(z, (1.0 - FLATTENING) * aside)
    for _ in range(ROUNDS):
        phi = atan2(z + SECOND * MINOR_M * sin(beta)**3, aside - FIRST * MAJOR_M * cos(beta)**3)
        beta = atan2((1.0 - FLATTENING) * sin(phi), cos(phi))
    altitude = aside * cos(phi) + z * sin(phi) - MAJOR_M * sqrt(1.0 - FIRST * sin(phi)**2)
    return Place(degrees(phi), degrees(atan2(y, x)), altitude)


class Enu:
    """East, north and up of a datum."""

    def __init__(self, datum: Place) -> None:
        """Take the datum for the origin."""
        self.datum = datum
        self._origin, self._axes = to_ecef(datum), _axes(datum)
        self._back = transposed(self._axes)

    def row(self, place: Place) -> Tuple[float, float, float]:
        """Return x y z in m."""
        return _along(self._axes, [a - b for a, b in zip(to_ecef(place), self._origin)])

    def place(self, row: Sequence[float]) -> Place:
        """Return what row() was given."""
        x, y, z = (a + b for a, b in zip(_along(self._back, row), self._origin))
        return from_ecef(x, y, z)

    def turn(self, place: Place) -> List[float]:
        """Return nine entries of R, row by row, with p_datum = R p_there."""
        there = _axes(place)
        return [value for i in (0, 3, 6) for value in _along(there, self._axes[i:i + 3])]


class Fix(NamedTuple):
    """
    A NavSatFix that was read.

    at: where its latitude stands. row: x y z, NaN where there is no fix. variances: those of the
    sender along the datum's axes, NaN where unknown; None: none. enu: what the row is of; None
    where none was given and there is no fix.
    """

    stamp_ns: int
    at: int
    place: Place
    covariance: Sequence[float]
    row: Sequence[float]
    variances: Optional[List[float]]
    enu: Optional[Enu]


def read_fix(raw: bytes, enu: Optional[Enu] = None) -> Fix:
    """
    Return what a message says, in little-endian CDR.

    enu: None for that of the message. An altitude that it has not is the datum's. At 0 north, 0
    east nothing is but what has no fix. Errors: struct.error where it is too short.
    """
    stamp_ns, _, at = read_header(raw, 4)
    status, = _STATUS.unpack_from(raw, at)
    at = even(at + 1 + (at + 1) % 2 + 2)  # behind uint16 service
    latitude, longitude, altitude, *covariance, kind = _NUMBERS.unpack_from(raw, at)
    given = Place(latitude, longitude, altitude)
    if status == NO_FIX or not _is_on_earth(given) or not (latitude or longitude):
        return Fix(stamp_ns, at, given, covariance, (nan,) * 3, None, enu)
    if enu is None:
        enu = Enu(given if isfinite(altitude) else given._replace(altitude=0.0))
    there = given if isfinite(altitude) else given._replace(altitude=enu.datum.altitude)
    variances = None
    if kind != COVARIANCE_UNKNOWN and any(covariance):
        found = covariance[::4]
        if all(map(isfinite, covariance)):
            found = turned_variance(transposed(enu.turn(there)), covariance)
        variances = [value if 0.0 < value < inf else nan for value in found]
    return Fix(stamp_ns, at, given, covariance, enu.row(there), variances, enu)


def written(raw: bytes, fix: Fix, row: Sequence[float], variances: Sequence[float]) -> bytes:
    """
    Return a message that was read with another place in it, and a covariance.

    variances: of x y z, as messages have them. The longitude is from -180 to 180, or from 0 to 360
    where the sender's is more than 180; an altitude that it has not stays away.
    """
    assert fix.enu is not None, 'what has no fix is never written'
    place = fix.enu.place(row)
    covariance = turned(transposed(fix.enu.turn(place)), variances)
    longitude, altitude = place.longitude, place.altitude
    if abs(fix.place.longitude) > 180.0 and longitude * fix.place.longitude < 0.0:
        longitude += copysign(360.0, fix.place.longitude)
    if not isfinite(fix.place.altitude):
        altitude = fix.place.altitude
        covariance[2] = covariance[5] = covariance[6] = covariance[7] = 0.0
        covariance[8] = NOT_KNOWN
    return (raw[:fix.at] + _NUMBERS.pack(
        place.latitude, longitude, altitude, *covariance, COVARIANCE_KNOWN)
            + raw[fix.at + _NUMBERS.size:])
