# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What an input and its streams have been through, and how /diagnostics tells it (REP-107)."""

from collections import Counter
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Sized, Tuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np

from liquid_ros.ros.messages import Key
from liquid_ros.ros.watch import HINTS
from liquid_ros.timing import Arrival, NS_PER_S, RESETS, TimePolicy

STEP_WINDOW = 1024  # the newest step times, of which the percentiles are taken
DT_WINDOW = NIS_WINDOW = 256
SHOWN_STREAMS = 32  # of an input with many; all of them are counted

MOST_RESETS = 0.5  # of the messages: beyond it they are hardly smoothed
BLIND_S = 1.0  # a sensor that has said nothing new for longer is lost

Values = List[Tuple[str, object]]


class Ring(Deque[float]):
    """The newest numbers, for their percentiles."""

    def milliseconds(self) -> Tuple[str, str]:
        """Return median and 99th percentile of seconds, in ms; nan before any."""
        if not self:
            return 'nan', 'nan'
        p50, p99 = np.percentile(self, (50, 99))
        return f'{1e3 * p50:.3f}', f'{1e3 * p99:.3f}'

    def mean(self) -> float:
        """Return the mean; nan before any."""
        return sum(self) / len(self) if self else float('nan')


class News(NamedTuple):
    """How many poses of a stream were used and dropped of late; used ones that began it anew."""

    came: int
    lost: int
    anew: int


class StreamTally:
    """Counts of one stream since it was configured; last_ns: stamp of the newest used pose."""

    def __init__(self) -> None:
        """Start from zero."""
        self.accepted = 0
        self.dropped: 'Counter[str]' = Counter()
        self.resets: 'Counter[str]' = Counter()
        self.last_ns: Optional[int] = None
        self.frame_id = ''  # of that pose
        self.heard = 0  # which of the input's messages it was in
        self._dts_s = Ring(maxlen=DT_WINDOW)
        self._nis = Ring(maxlen=NIS_WINDOW)
        self._told = (0, 0, 0)

    def accept(self, stamp_ns: int, arrival: Arrival, nis: Sequence[float]) -> None:
        """Count a used pose; nis (G,): normalised innovations squared."""
        if arrival in RESETS:
            self.resets[arrival.value] += 1
            self.last_ns = None
        self.step(stamp_ns, nis)

    def step(self, stamp_ns: int, nis: Sequence[float]) -> None:
        """Count a used pose that follows another one."""
        self.accepted += 1
        if self.last_ns is not None:
            self._dts_s.append((stamp_ns - self.last_ns) / NS_PER_S)
        self.last_ns = stamp_ns
        self._nis.extend(nis)

    def news(self) -> News:
        """Return what became of poses since the last call."""
        now = (self.accepted, sum(self.dropped.values()), sum(self.resets.values()))
        before, self._told = self._told, now
        return News(*(new - old for new, old in zip(now, before)))

    def values(self, came: int, elapsed_s: float, now_ns: int, blind_s: float) -> Values:
        """Return what is told of a stream; came: since elapsed_s."""
        p50_ms, p99_ms = self._dts_s.milliseconds()
        age_s = (float('nan') if self.last_ns is None or not now_ns
                 else (now_ns - self.last_ns) / NS_PER_S)
        return [
            ('poses accepted', self.accepted),
            *((f'poses dropped: {reason}', n) for reason, n in sorted(self.dropped.items())),
            *((f'resets: {reason}', n) for reason, n in sorted(self.resets.items())),
            ('rate Hz', f'{came / elapsed_s:.2f}'), ('age s', f'{age_s:.3f}'),
            ('blind s', f'{blind_s:.3f}'),
            ('dt p50 ms', p50_ms), ('dt p99 ms', p99_ms),
            ('mean NIS', f'{self.mean_nis():.3f}')]

    def mean_nis(self) -> float:
        """Return the mean over the newest poses' groups of three axes; expected value 3."""
        return self._nis.mean()


class Tally:
    """
    Counts of one input, since it was configured.

    Every message received is accepted, dropped for one reason, or pending in the reorder buffer.
    Each accepted one is published, but at publish_rate_hz, where published counts predictions.
    """

    def __init__(self) -> None:
        """Start from zero."""
        self.received = self.accepted = self.published = 0
        self.held: Sized = ()  # by the reorder buffers
        self.dropped: 'Counter[str]' = Counter()
        self.resets: 'Counter[str]' = Counter()
        self.future = 0
        self.poses = 0  # accepted of streams that made room for others
        self.streams: Dict[Key, StreamTally] = {}
        self.steps_s = Ring(maxlen=STEP_WINDOW)
        self._seen = (0, 0, 0, 0)

    @property
    def pending(self) -> int:
        """Return how many messages are held back."""
        return len(self.held)

    def stream(self, key: Key) -> StreamTally:
        """Return a stream's counts."""
        found = self.streams.get(key)
        if found is None:
            found = self.streams[key] = StreamTally()
        return found

    def is_beyond(self, limit_ns: int) -> bool:
        """Return whether a stream has a pose that is later than this."""
        return any(stream.last_ns is not None and stream.last_ns > limit_ns
                   for stream in self.streams.values())

    def outdated(self, stamp_ns: int, policy: TimePolicy, most: int) -> List[Key]:
        """
        Return the streams that may make room for one that begins with this stamp.

        They would start anew anyway, for a gap or, where time jumped back, for that: then the
        last 2 * most messages were of others.
        """
        oldest_ns, newest_ns = stamp_ns - policy.gap_reset_ns, policy.latest_ns(stamp_ns)
        return [key for key, stream in self.streams.items()
                if stream.last_ns is None or stream.last_ns < oldest_ns
                or (stream.last_ns > newest_ns and stream.heard < self.received - 2 * most)]

    def why_none_at_rate(self, now_ns: int, hold_ns: int, future_ns: int) -> str:
        """Return why no outputs at a fixed rate can be expected; empty where they can."""
        if not now_ns:
            return HINTS['no time']
        ages_ns = [now_ns - stream.last_ns for stream in self.streams.values()
                   if stream.last_ns is not None]
        if any(-future_ns <= age_ns <= hold_ns for age_ns in ages_ns):
            return ''
        ahead_ns = -min(ages_ns, default=0)
        if ahead_ns > future_ns:
            return (f'a stamp is {ahead_ns / NS_PER_S:.1f} s ahead of the clock: outputs wait for '
                    'it; are the clocks in step?')
        if not ages_ns:
            return 'no message was accepted: nothing is predicted'
        return (f'the newest stamp is {min(ages_ns) / NS_PER_S:.1f} s old, older than '
                'hold_timeout_s: nothing is predicted')

    def news(self) -> Tuple[int, int, int, int]:
        """
        Return what came since the last call.

        Messages received and dropped, poses accepted, and how many of those began a stream anew.
        """
        inactive = self.dropped['inactive']  # nobody asked for those
        now = (self.received - inactive, sum(self.dropped.values()) - inactive,
               self.poses + sum(stream.accepted for stream in self.streams.values()),
               sum(self.resets[arrival.value] for arrival in RESETS))
        before, self._seen = self._seen, now
        received, dropped, accepted, resets = (new - old for new, old in zip(now, before))
        return received, dropped, accepted, resets


class Report(NamedTuple):
    """
    What else a report says of an input.

    name: of the status. device: where it is computed. enabled: whether it is not passed through.
    elapsed_s: since the last report. now_ns: of the node's clock. trouble: why there is nothing to
    tell; empty: there is. behind: how far outputs at a fixed rate are; empty: they are not.
    weights: what stands for the smoother's.
    """

    name: str
    device: str
    active: bool
    enabled: bool
    elapsed_s: float
    now_ns: int
    trouble: str
    behind: str
    weights: str


def statuses(tally: Tally, about: Report, many: bool, blind_s: Callable[[Key], float]
             ) -> List[DiagnosticStatus]:
    """
    Return the status of an input, and where there are many streams, one for each of them.

    blind_s: for how long a stream's sensor has been lost.
    """
    streams = [(key, stream, stream.news()) for key, stream in tally.streams.items()]
    lost_poses = 0 if many else sum(news.lost for *_, news in streams)
    if len(streams) > SHOWN_STREAMS:  # those that lose poses, then those that were heard last
        shown = sorted(range(len(streams)), key=lambda i: (
            streams[i][2].lost == 0, -streams[i][1].heard))[:SHOWN_STREAMS]
        streams = [streams[i] for i in sorted(shown)]
    streams = streams[:SHOWN_STREAMS if many else 1]
    blind = {key: blind_s(key) for key, *_ in streams}
    level, message = _judge(tally, about, lost_poses, 0.0 if many else sum(blind.values()))
    alone = about.active and not about.trouble  # else what is told of all goes for each
    p50_ms, p99_ms = tally.steps_s.milliseconds()
    values: Values = [
        ('received', tally.received), ('accepted', tally.accepted),
        ('published', tally.published), ('pending', tally.pending),
        ('dropped', sum(tally.dropped.values())),
        *((f'dropped: {reason}', n) for reason, n in sorted(tally.dropped.items())),
        ('resets', sum(tally.resets.values())),
        *((f'resets: {reason}', n) for reason, n in sorted(tally.resets.items())),
        ('future stamps', tally.future), ('enabled', about.enabled), ('device', about.device),
        ('weights', about.weights),
        ('step p50 ms', p50_ms), ('step p99 ms', p99_ms), ('streams', len(tally.streams))]
    made = []
    for key, stream, news in streams:
        own = stream.values(news.came, about.elapsed_s, about.now_ns, blind[key])
        if many:
            its_level, its_message = (_judge_stream(news, blind[key]) if alone
                                      else (level, message))
            made.append(_status(its_level, f'{about.name} [{key}]', its_message, about.device,
                                own))
        else:
            values += [pair for pair in own if not pair[0].startswith('resets')]
    return [_status(level, about.name, message, about.device, values), *made]


def _judge(tally: Tally, about: Report, lost_poses: int, blind_s: float) -> Tuple[bytes, str]:
    """Return level and message; lost_poses, blind_s: of a single stream, of late."""
    received, dropped, accepted, resets = tally.news()
    if not about.active:
        return DiagnosticStatus.OK, 'inactive'
    lost = f'dropped {dropped} of {received}'
    if about.trouble:
        return DiagnosticStatus.STALE, about.trouble + (f'; {lost}' if dropped else '')
    if dropped:
        return DiagnosticStatus.WARN, lost
    if lost_poses:
        return DiagnosticStatus.WARN, f'left out {lost_poses} of {accepted + lost_poses} poses'
    if resets > MOST_RESETS * accepted:
        return _always_anew(resets, accepted)
    if about.behind:
        return DiagnosticStatus.WARN, about.behind
    if about.enabled and blind_s > BLIND_S:
        return _blind(blind_s)
    passed = '' if about.enabled else ', passed through'
    return DiagnosticStatus.OK, f'{received} messages{passed}'


def _judge_stream(news: News, blind_s: float) -> Tuple[bytes, str]:
    if news.lost:
        return DiagnosticStatus.WARN, f'dropped {news.lost} of {news.came + news.lost}'
    if news.anew > max(MOST_RESETS * news.came, 1):
        return _always_anew(news.anew, news.came)
    if blind_s > BLIND_S:
        return _blind(blind_s)
    return DiagnosticStatus.OK, f'{news.came} poses'


def _blind(blind_s: float) -> Tuple[bytes, str]:
    return DiagnosticStatus.WARN, (f'the same values for {blind_s:.1f} s, which its noise does '
                                   'not repeat: is the sensor lost?')


def _always_anew(resets: int, accepted: int) -> Tuple[bytes, str]:
    return DiagnosticStatus.WARN, (f'{resets} of {accepted} poses began a stream anew and are not '
                                   'smoothed: gap_reset_s, frame_id?')


def _status(level: bytes, name: str, message: str, device: str, values: Values
            ) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=device,
        values=[KeyValue(key=key, value=str(value)) for key, value in values])
