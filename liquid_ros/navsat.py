# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Between a sensor_msgs/NavSatFix and metres east, north and up of a place, its datum.

The axes are straight and do not turn with the Earth's curvature, so that no distance is
distorted, however far the datum is.
"""

from math import (
    atan2,
    copysign,
    cos,
    degrees,
    hypot,
    inf,
    isfinite,
    isnan,
    nan,
    radians,
    sin,
    sqrt,
)
from struct import Struct
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

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
LOWEST_M, HIGHEST_M = -1e5, 1e8

_STATUS = Struct('<b')
_NUMBERS = Struct('<12dB')  # latitude, longitude, altitude, covariance, its type


class Place(NamedTuple):
    """On and above the ellipsoid: degrees north and east, metres."""

    latitude: float
    longitude: float
    altitude: float

    def __str__(self) -> str:
        """Return it to the millimetre."""
        return f'{self.latitude:.8f}, {self.longitude:.8f}, ' + (
            f'{self.altitude:.3f}' if isfinite(self.altitude) else 'no altitude yet')

    def fits(self, other: 'Place') -> bool:
        """Return whether both are the same, as far as altitudes are known."""
        return self[:2] == other[:2] and not abs(self.altitude - other.altitude) > 0.0


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
    place = Place(*numbers, *[nan] * (3 - len(numbers))) if len(numbers) in (2, 3) else None
    if place is None or not is_on_earth(place) or len(numbers) == 3 and isnan(place.altitude):
        raise ParameterError(f'datum: got {text!r}, expected latitude, longitude in degrees and, '
                             'where it is known, altitude in m, such as 48.1372, 11.5756, 519.0')
    return place


def is_on_earth(place: Place) -> bool:
    """Return whether it can be one; an altitude of NaN is not known."""
    return abs(place.latitude) <= 90.0 and abs(place.longitude) <= 360.0 and (
        LOWEST_M <= place.altitude <= HIGHEST_M or isnan(place.altitude))


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
        """Return nine entries of R, row by row, with p_there = R p_datum."""
        there = _axes(place)
        return [value for i in (0, 3, 6) for value in _along(self._axes, there[i:i + 3])]


class Datum:
    """Where fixes are measured from: what is given, else where the first of them is."""

    def __init__(self, place: Optional[Place] = None,
                 tell: Callable[[Place], None] = lambda place: None) -> None:
        """Begin with a place, or none; tell is called with one that was found."""
        self.place: Optional[Place] = None
        self._enu: Optional[Enu] = None
        self._tell = tell
        if place is not None:
            self.put(place)

    @property
    def enu(self) -> Enu:
        """Return the axes that rows are along; there is a place by now."""
        assert self._enu is not None
        return self._enu

    @property
    def is_level(self) -> bool:
        """Return whether no altitude is known."""
        return self.place is None or isnan(self.place.altitude)

    def put(self, place: Place) -> None:
        """Be there; an altitude of NaN is not known yet."""
        self.place = place
        self._enu = Enu(place if isfinite(place.altitude) else place._replace(altitude=0.0))

    def follow(self, fix: Place) -> None:
        """Take of a fix what is not known yet: all, or the altitude."""
        if self.place is None:
            found = fix
        elif self.is_level and not isnan(fix.altitude):
            found = self.place._replace(altitude=fix.altitude)
        else:
            return
        self.put(found)
        self._tell(found)


class Fix(NamedTuple):
    """
    What a NavSatFix says.

    at: where its latitude stands. stated: whether the covariance is. usable: whether there is a
    fix; at 0 north, 0 east nothing is but what has none.
    """

    stamp_ns: int
    at: int
    place: Place
    covariance: Sequence[float]
    stated: bool
    usable: bool


def read_fix(raw: bytes) -> Fix:
    """Return what a message says, in little-endian CDR; struct.error where it is too short."""
    stamp_ns, _, at = read_header(raw, 4)
    status, = _STATUS.unpack_from(raw, at)
    at = even(at + 1 + (at + 1) % 2 + 2)  # behind uint16 service
    latitude, longitude, altitude, *covariance, kind = _NUMBERS.unpack_from(raw, at)
    place = Place(latitude, longitude, altitude)
    usable = status != NO_FIX and is_on_earth(place) and bool(latitude or longitude)
    return Fix(stamp_ns, at, place, covariance,
               kind != COVARIANCE_UNKNOWN and any(covariance), usable)


class Fixes:
    """The fixes of one receiver, in metres."""

    def __init__(self, datum: Datum) -> None:
        """Measure from a datum, which others may measure from, too."""
        self.datum = datum
        self.height = nan  # of the last that has an altitude

    def measure(self, fix: Fix) -> Tuple[Sequence[float], Optional[List[float]]]:
        """
        Return x y z, NaN where there is no fix, and the sender's variances of them, NaN or None.

        A fix without an altitude is as high as the last that has one.
        """
        if not fix.usable:
            return (nan,) * 3, None
        self.datum.follow(fix.place)
        if isfinite(fix.place.altitude):
            self.height = fix.place.altitude
        enu = self.datum.enu
        there = fix.place._replace(
            altitude=self.height if isfinite(self.height) else enu.datum.altitude)
        row = enu.row(there)
        if not fix.stated:
            return row, None
        found = fix.covariance[::4]
        if all(value > 0.0 for value in found) and all(map(isfinite, fix.covariance)):
            found = turned_variance(enu.turn(there), fix.covariance)
        return row, [value if 0.0 < value < inf else nan for value in found]


def written(raw: bytes, fix: Fix, enu: Enu, row: Sequence[float], variances: Sequence[float]
            ) -> bytes:
    """
    Return a message that was read with another place in it, and a covariance.

    row, variances: x y z along enu, as messages have them. The longitude is from -180 to 180, or
    from 0 to 360 where the sender's is more than 180; an altitude that it has not stays away.
    """
    place = enu.place(row)
    covariance = turned(enu.turn(place), variances)
    longitude, altitude = place.longitude, place.altitude
    if abs(fix.place.longitude) > 180.0 and longitude * fix.place.longitude < 0.0:
        longitude += copysign(360.0, fix.place.longitude)
    if isnan(fix.place.altitude):
        altitude = nan
        covariance[2] = covariance[5] = covariance[6] = covariance[7] = 0.0
        covariance[8] = NOT_KNOWN
    return (raw[:fix.at] + _NUMBERS.pack(
        place.latitude, longitude, altitude, *covariance, COVARIANCE_KNOWN)
            + raw[fix.at + _NUMBERS.size:])
