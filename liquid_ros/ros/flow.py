# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From a message to what goes out: the streams of one input, their bank, the modes."""

from time import perf_counter
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.params import Params
from liquid_ros.reorder import Reorder
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.messages import Arrived, Batch, Codec, Key, Smooth
from liquid_ros.ros.outputs import debug_numbers, Outputs
from liquid_ros.ros.trail import Track, twist_variance
from liquid_ros.ros.watch import HINTS, Warner
from liquid_ros.smoothers.base import Estimate, Smoother
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank, Update
from liquid_ros.timing import Arrival, NS_PER_S, RESTARTS, TimePolicy

MOST_HELD = 1000  # messages of a stream in its reorder buffer

class Latest(NamedTuple):
    """The newest message of some streams, from which an output at a fixed rate is made."""

    message: Any
    keys: Sequence[Key]
    frame_id: str


class Flow:
    """Takes an input's messages through its bank to its outputs, and counts."""

    def __init__(self, params: Params, codec: Codec, smoother: Smoother, bank: StreamBank,
                 outputs: Outputs, warn: Warner) -> None:
        """Start with no streams; smoother: the bank's."""
        self._smoother = smoother
        self.enabled = True
        self.bank = bank
        self.tally = Tally()
        self._codec, self._outputs, self._warn = codec, outputs, warn
        self._path_input = params.input_type == 'path'
        self._array_input = params.input_type == 'pose_array'
        self._track = Track()
        self._latest: Dict[Optional[Key], Latest] = {}
        self._held: Dict[Key, Reorder] = {}
        self.params = params
        self.apply(params)

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        if self._held and params.reorder_s != self.params.reorder_s:
            self.flush()
            self._held.clear()
        self.params = params
        self.bank.policy = TimePolicy.from_seconds(
            params.gap_reset_s, params.jump_reset_s, params.zero_stamp, params.future_s)
        for buffer in self._held.values():
            buffer.policy = self.bank.policy
        self.bank.tune(Tuning(params.smoothing, params.gate_probability))
        self._ahead_ns = 0 if self._path_input else round(params.lookahead_s * NS_PER_S)
        self._hold_ns = round(params.hold_timeout_s * NS_PER_S)
        self._at_rate = params.publish_rate_hz > 0.0 and not self._path_input

    def reset(self, reason: str) -> None:
        """Forget the past, and count why."""
        self.forget()
        self.tally.resets[reason] += 1

    def forget(self) -> None:
        """Forget the past."""
        self.bank.reset()
        self._clear()

    def on_load(self) -> None:
        """Go on from the state that the bank was given."""
        self._clear()
        self.tally.resets['load'] += 1

    def _clear(self) -> None:
        self._lose(sum(len(buffer) for buffer in self._held.values()))
        self._held.clear()
        self.tally.pending = 0
        self._track.clear()
        self._latest.clear()
        self._outputs.forget()
        self._outputs.new_run()
        for key, stream in self.tally.streams.items():
            stream.last_ns = self.bank.last_ns(key)

    def _lose(self, held: int) -> None:
        if held:
            self.tally.dropped['reset'] += held

    def on_clock_jump(self, now_ns: int) -> None:
        """Forget the streams that are ahead of a clock that went back."""
        self._outputs.new_run()
        limit_ns = now_ns + self.bank.policy.jump_reset_ns
        if any(s.last_ns is not None and s.last_ns > limit_ns
               for s in self.tally.streams.values()):
            self.reset('clock')

    def take(self, message: Any, now_ns: int) -> None:
        """Take a message that came at now_ns of the node's clock, 0 where that stands still."""
        arrived = Arrived(message, self._codec.read(message), now_ns)
        if not self.params.reorder_s or self._path_input or not arrived.batch.keys:
            self._use(arrived)
            return
        key = arrived.batch.keys[0]
        if key not in self._held:
            if len(self._held) >= self.params.max_streams:
                self._use(arrived)
                return
            self._held[key] = Reorder(
                round(self.params.reorder_s * NS_PER_S), MOST_HELD, self.bank.policy)
        for due in self._held[key].add(arrived.batch.stamps_ns[0], arrived, now_ns or None):
            self._use(due)
        self.tally.pending = sum(len(buffer) for buffer in self._held.values())

    def flush(self) -> None:
        """Use what was held back: nothing older will come."""
        for buffer in list(self._held.values()):  # using a message may drop a stream
            for due in buffer.flush():
                self._use(due)
        self.tally.pending = 0

    def _use(self, arrived: Arrived) -> None:
        message, batch, now_ns = arrived
        if self._path_input and batch.keys:
            last_ns = self.bank.last_ns(0)
            batch = Track.newer(batch, last_ns, self.bank.policy.jump_reset_ns)
            if not batch.keys:
                self._drop('duplicate' if last_ns == max(arrived.batch.stamps_ns) else 'late')
                return
        if self.params.frame_id:
            batch = batch._replace(frames=[f or self.params.frame_id for f in batch.frames])
        reason = self._refuse(batch)
        if reason is not None:
            self._drop(reason)
            return
        began = perf_counter()
        update = self.bank.update(*batch, [now_ns] * len(batch.keys) if now_ns else None)
        took_s = perf_counter() - began
        dts_s = self._count(batch, update)
        if not update.accepted.any():
            self._drop(str(update.reasons[0]))
            return
        self.tally.steps_s.add(took_s)
        self._outputs.send_debug(lambda: debug_numbers(
            update, dts_s, (now_ns - max(update.stamps_ns)) / NS_PER_S, took_s))
        if self._send(message, batch, update, now_ns):
            self.tally.accepted += 1
        else:
            self._drop('withheld')

    def _refuse(self, batch: Batch) -> Optional[str]:
        """Return why a message cannot be used as a whole, None where it can."""
        if not batch.keys:
            return 'empty'
        wanted = self.params.frame_id
        if wanted and any(frame != wanted for frame in batch.frames):
            return 'frame'
        streams = self.tally.streams
        if not self._codec.many or batch.keys[-1] in streams:
            return None
        room = self.params.max_streams - sum(key not in streams for key in batch.keys)
        if len(streams) > room:
            self._evict(batch.stamps_ns[0], set(batch.keys))
        return 'max_streams' if len(streams) > room else None

    def _evict(self, stamp_ns: int, kept: 'set[Key]') -> None:
        """Forget the streams whose next message would start them anew anyway."""
        limit_ns = stamp_ns - self.bank.policy.gap_reset_ns
        for key, stream in list(self.tally.streams.items()):
            if key not in kept and (stream.last_ns is None or stream.last_ns < limit_ns):
                del self.tally.streams[key]
                self.bank.reset((key,))
                self._latest.pop(key, None)
                self._lose(len(self._held.pop(key, ())))
                self._outputs.drop(key)

    def _count(self, batch: Batch, update: Update) -> float:
        """Count each pose, follow resets, extend paths; return dt in s, NaN where none is."""
        dt_s = np.nan
        newest = max(np.flatnonzero(update.accepted), default=-1)
        for i, key in enumerate(batch.keys):
            stream, arrival = self.tally.stream(key), update.arrivals[i]
            reason = update.reasons[i]
            if reason is not None or arrival is None:
                stream.dropped[str(reason)] += 1
                continue
            stamp_ns, frame_id = update.stamps_ns[i], batch.frames[i]
            if arrival in RESTARTS:
                self._on_restart(key, arrival, frame_id)
            elif stream.last_ns is not None:
                dt_s = (stamp_ns - stream.last_ns) / NS_PER_S
            stream.accept(stamp_ns, arrival, update.estimate.nis[i])
            trail = self._outputs.trail(key)
            if trail is not None:
                if not self.params.path_smoothed:
                    trail.add(stamp_ns, frame_id, update.estimate.rows[i])
                elif i == newest or not self._path_input:  # of a path, what the bank knows now
                    trail.add(stamp_ns, frame_id, self.bank.peek(key))
        if update.future.any():
            self.tally.future += 1
            self._tell('future', f'{self.tally.future} messages')
        return dt_s

    def _on_restart(self, key: Key, arrival: Arrival, frame_id: str) -> None:
        if arrival is Arrival.FIRST:
            return
        self.tally.resets[arrival.value] += 1
        self._outputs.forget([key])
        if arrival is Arrival.FRAME:
            self._tell('new frame', f'it is {frame_id!r} now')
        if arrival is Arrival.JUMP:
            self._track.clear()
            self._outputs.new_run(None if self._array_input else key)

    def _drop(self, reason: str) -> None:
        self.tally.dropped[reason] += 1
        self._tell(reason, f'{self.tally.dropped[reason]} messages dropped')

    def _tell(self, reason: str, detail: str) -> None:
        topic = self._outputs.input_topic
        self._warn(reason, lambda: f'{topic}: {reason}: {HINTS.get(reason, "")}; {detail}')

    # Outputs.

    def _smooth(self, keys: Sequence[Key], estimate: Estimate) -> Smooth:
        """Return an estimate with the variance of its twist, where that is wanted and known."""
        spread = np.full_like(estimate.twist, np.nan)
        if self.params.publish_odometry:
            twist_variance(self._smoother, self.bank, keys, spread)
        return Smooth(estimate.rows, estimate.variance, estimate.twist, spread)

    def _passed(self, batch: Batch, update: Update) -> Smooth:
        """Return the usable messages as they came; what they do not say is the estimate's."""
        smooth = self._smooth(batch.keys, update.estimate)
        own = batch.variances if batch.variances is not None else smooth.variance
        return smooth._replace(
            rows=np.where(update.accepted[:, None], batch.rows, np.nan),
            variance=np.where(np.isfinite(own), own, smooth.variance))

    def _send(self, message: Any, batch: Batch, update: Update, now_ns: int) -> bool:
        """Publish what an accepted message leads to; return False where it is withheld."""
        i = int(np.flatnonzero(update.accepted)[-1])
        stamp_ns, frame_id = update.stamps_ns[i], batch.frames[i]
        run = None if self._array_input else batch.keys[i]
        if self._at_rate and self.enabled:
            self._latest[run] = Latest(message, batch.keys, frame_id)
            if now_ns and now_ns - stamp_ns > self._hold_ns:
                self._tell('stale', f'it is {(now_ns - stamp_ns) / NS_PER_S:.1f} s old')
            return True
        if not self.enabled:
            smooth = self._passed(batch, update)
        elif self._ahead_ns:
            stamp_ns += self._ahead_ns
            expected = self.bank.predict(batch.keys, [stamp_ns] * len(batch.keys))
            smooth = self._smooth(batch.keys, expected)
        else:
            smooth = self._smooth(batch.keys, update.estimate)
            if self._array_input and not update.accepted.all():
                expected = self.bank.predict(batch.keys, update.stamps_ns)
                smooth = Smooth(*(np.where(update.accepted[:, None], ours, other)
                                  for ours, other in zip(smooth, self._smooth(
                                      batch.keys, expected))))
        bodies = smooth
        if self._path_input:
            self._track.take(batch.stamps_ns, smooth.rows)
            bodies = Smooth(*(part[i:i + 1] for part in smooth))
            smooth = smooth._replace(rows=self._track.rows(message))
        sent = self._outputs.send(message, stamp_ns, frame_id, smooth, run, batch.keys, bodies)
        self.tally.published += sent
        return sent

    def held_too_long(self, now_ns: int) -> bool:
        """Return True where outputs at a fixed rate have ended: all streams are too old."""
        return self._at_rate and self.enabled and not any(
            stream.last_ns is not None and now_ns - stream.last_ns <= self._hold_ns
            for stream in self.tally.streams.values())

    def tick(self, now_ns: int) -> None:
        """Publish predictions to the present of all streams heard of lately."""
        if not self.enabled or not now_ns:
            return
        for run, (message, keys, frame_id) in self._latest.items():
            lasts = [self.bank.last_ns(key) for key in keys]
            alive = [last for last in lasts if last is not None and now_ns - last <= self._hold_ns]
            if not alive:
                continue
            stamp_ns = max(now_ns, *alive) + self._ahead_ns
            stamps = [stamp_ns if last is not None and now_ns - last <= self._hold_ns else 0
                      for last in lasts]  # before its last message: nothing is predicted
            smooth = self._smooth(keys, self.bank.predict(keys, stamps))
            self.tally.published += self._outputs.send(
                message, stamp_ns, frame_id, smooth, run, keys, smooth)

