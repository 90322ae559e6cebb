# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From a message to what goes out: the streams of one input, their bank, the modes."""

from time import perf_counter
from typing import Any, Iterable, Optional

import numpy as np

from liquid_ros.intake import refuse
from liquid_ros.params import Params
from liquid_ros.ros.answers import Answers, debug_numbers, passable
from liquid_ros.ros.at_rate import AtRate
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.express import Express, possible
from liquid_ros.ros.held import Held
from liquid_ros.ros.layout import MalformedError
from liquid_ros.ros.messages import Arrived, Batch, Codec, Key, Smooth
from liquid_ros.ros.outputs import Outputs
from liquid_ros.ros.trail import Track
from liquid_ros.ros.warner import Warner
from liquid_ros.ros.watch import HINTS
from liquid_ros.smoothers.base import Smoother
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import Arrival, arrive, NS_PER_S, RESETS, TimePolicy
from liquid_ros.update import Update


class Flow:
    """Takes an input's messages through its bank to its outputs, and counts."""

    def __init__(self, params: Params, codec: Codec, smoother: Smoother, bank: StreamBank,
                 outputs: Outputs, warn: Warner) -> None:
        """Start with no streams; smoother: the bank's."""
        self._enabled, self._leads = True, (False, 0)  # outputs are of the present, so far ahead
        self.bank, self.tally = bank, Tally()
        self._codec, self._outputs, self._warn = codec, outputs, warn
        kind = params.input_type
        self._path_input, self._array_input = kind == 'path', kind == 'pose_array'
        self._track = Track()
        self._held = self.tally.held = Held()
        self._answers = Answers(smoother, bank, self.tally)
        self.at_rate = AtRate(bank, self._answers, outputs, self.tally, self._tell)
        self.params = params
        self.apply(params)

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        if params.reorder_s != self.params.reorder_s:
            self.flush()
            self._held.clear()
        self.params = params
        self._answers.spread = params.publish_odometry
        self.bank.policy = TimePolicy.from_seconds(
            params.gap_reset_s, params.jump_reset_s, params.zero_stamp, params.future_s)
        self._held.judge_by(self.bank.policy)
        self.bank.tune(Tuning(params.smoothing, params.gate_probability))
        self._ahead_ns = 0 if self._path_input else round(params.lookahead_s * NS_PER_S)
        self.at_rate.apply(params)
        self._follow_modes()

    @property
    def enabled(self) -> bool:
        """Return False where messages are passed through."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = enabled
        self._follow_modes()

    def _follow_modes(self) -> None:
        """Choose the messages' way; begin a new run where outputs are less far ahead now."""
        short = self._enabled and possible(self.params, self._codec)
        self.express = Express(self.params, self._codec, self.bank, self.tally, self._outputs,
                               self._answers) if short else None
        before = self._leads
        self._leads = (self.at_rate.wanted, self._ahead_ns) if self._enabled else (False, 0)
        if any(now < then for now, then in zip(self._leads, before)):
            self._outputs.new_run()  # else none would go out

    def reset(self, reason: str) -> None:
        """Forget the past, and count why."""
        self.forget()
        self.tally.resets[reason] += 1

    def forget(self) -> None:
        """Use what was held back, and forget the past."""
        self.flush()
        self.bank.reset()
        self._clear()

    def on_load(self) -> None:
        """Go on from the state that the bank was given."""
        self._clear()
        self._track.clear(self.bank.last_ns(0))
        self.tally.resets['load'] += 1

    def _clear(self) -> None:
        self.tally.dropped.update(['reset'] * self._held.clear())
        self._track.clear()
        self.at_rate.clear()
        self._outputs.forget()
        self._outputs.new_run()
        frames = self.bank.frames()
        for key in [*self.tally.streams, *frames]:
            stream = self.tally.stream(key)  # type: ignore[arg-type]
            stream.last_ns, stream.frame_id = self.bank.last_ns(key), frames.get(key, '')

    def on_clock_jump(self, now_ns: int, back_ns: int) -> None:
        """Forget the streams that are ahead of a clock that went back by so much."""
        if back_ns <= self.bank.policy.jump_reset_ns:
            return
        limit_ns = self.bank.policy.latest_ns(now_ns)
        self._outputs.end_runs(limit_ns + self._leads[1])
        self.at_rate.end(limit_ns)
        if self.tally.is_beyond(limit_ns):
            self.reset('clock')

    def take(self, message: Any, now_ns: int) -> None:
        """Take a message that came at now_ns of the node's clock, 0 where that stands still."""
        if self.express is not None and self.express.take(message, now_ns):
            return
        try:
            arrived = Arrived(message, self._codec.read(message), now_ns)
        except MalformedError as error:
            return self._drop('malformed', str(error))
        batch = arrived.batch
        if (not self.params.reorder_s or self._path_input or not batch.stamps_ns
                or self._foreign(batch) or batch.keys and all(map(refuse, batch.rows))):
            return self._use(arrived)
        for due in self._held.add(arrived, self.params, self.bank.policy):
            self._use(due)

    def flush(self, silent_s: float = 0.0) -> None:
        """Use what was held back of streams silent for so long: nothing older will come."""
        for due in self._held.flush(silent_s):
            self._use(due)

    def _use(self, arrived: Arrived) -> None:
        message, batch, now_ns = arrived
        if self._path_input and batch.keys:
            if not self._foreign(batch) and self._track.revised(batch):
                self.reset('revised')
            last_ns = self.bank.last_ns(0)
            batch = self._track.newer(batch, last_ns, self.bank.policy)
            if not batch.keys:
                return self._drop(('late', 'duplicate')[last_ns == max(arrived.batch.stamps_ns)])
        if own := self.params.frame_id or self._codec.frame:
            batch = batch._replace(frames=[frame or own for frame in batch.frames])
        if reason := self._refuse(batch, now_ns):
            return self._drop(reason)
        if self._array_input and batch.stamps_ns[0] and not self._leads[0]:  # its poses may be new
            self._outputs.end_runs(self.bank.policy.latest_ns(batch.stamps_ns[0]) + self._leads[1])
        if not batch.keys:
            return self._send_nothing(message, batch, now_ns)
        began = perf_counter()
        update = self.bank.update(*batch, [now_ns] * len(batch.keys) if now_ns else None)
        took_s = perf_counter() - began
        dts_s = self._count(batch, update)
        if None not in update.reasons:
            return self._drop(str(update.reasons[0]))
        self.tally.steps_s.append(took_s)
        self._outputs.send_debug(lambda: debug_numbers(
            update, dts_s, (now_ns - max(update.stamps_ns)) / NS_PER_S if now_ns else np.nan,
            took_s))
        if self._send(message, batch, update, now_ns):
            self.tally.accepted += 1
        else:
            self._drop('withheld')

    def _foreign(self, batch: Batch) -> bool:
        return any(frame not in ('', self.params.frame_id or frame) for frame in batch.frames)

    def _refuse(self, batch: Batch, now_ns: int) -> Optional[str]:
        """Return why a message cannot be used as a whole, None where it can."""
        if not batch.stamps_ns:
            return 'empty'
        if self._foreign(batch):
            return 'frame'
        streams = self.tally.streams
        if not self._codec.many or not batch.keys or batch.keys[-1] in streams:
            return None
        room = self.params.max_streams - sum(key not in streams for key in batch.keys)
        if len(streams) > room:
            reasons = [refuse(row) for row in batch.rows]
            arrival, stamp_ns, _, future = arrive(
                None, batch.stamps_ns[0], self.bank.policy, now_ns or None)
            if None not in reasons or arrival is Arrival.ZERO_STAMP:
                return reasons[0] or arrival.value
            self.leave_out({*self.tally.outdated(
                now_ns if future else stamp_ns, self.bank.policy, self.params.max_streams)
            }.difference(batch.keys))
        return 'max_streams' if len(streams) > room else None

    def leave_out(self, keys: Iterable[Key]) -> None:
        """Forget streams with all they have."""
        for key in keys:
            self.tally.poses += self.tally.streams.pop(key).accepted
            self.bank.reset((key,))
            self.at_rate.drop(key)
            self.tally.dropped.update(['reset'] * self._held.drop(key))
            self._outputs.drop(key)

    def _count(self, batch: Batch, update: Update) -> float:
        """Count each pose, follow resets, extend paths; return dt in s, NaN where none is."""
        dt_s = np.nan
        for i, key in enumerate(batch.keys):
            stream, arrival, reason = self.tally.stream(key), update.arrivals[i], update.reasons[i]
            if reason is not None or arrival is None:
                stream.dropped[str(reason)] += 1
                if self._path_input:
                    self._tell(str(reason), 'a pose of the path is left out')
                continue
            stamp_ns, frame_id = update.stamps_ns[i], batch.frames[i]
            if arrival in RESETS:
                self._on_restart(key, arrival, stamp_ns, frame_id)
            elif stream.last_ns is not None:
                dt_s = (stamp_ns - stream.last_ns) / NS_PER_S
            stream.accept(stamp_ns, arrival, update.estimate.nis[i].tolist())
            stream.frame_id, stream.heard = frame_id, self.tally.received
            if (trail := self._outputs.trail(key)) is not None:
                trail.add(stamp_ns, frame_id, self.bank.peek(key) if self.params.path_smoothed
                          else update.estimate.rows[i])
        if True in update.future.tolist():
            self.tally.future += 1
            self._tell('future', f'{self.tally.future} messages')
        return dt_s

    def _on_restart(self, key: Key, arrival: Arrival, stamp_ns: int, frame_id: str) -> None:
        self.tally.resets[arrival.value] += 1
        ahead = arrival is Arrival.STAMP_AHEAD
        self._outputs.forget([key], stamp_ns if ahead else None)
        if ahead:
            self._tell(arrival.value, f'{self.tally.resets[arrival.value]} times')
        elif arrival is Arrival.FRAME:
            self._tell('new frame', f'it is {frame_id!r} now')
        if arrival in (Arrival.JUMP, Arrival.FRAME):
            self._track.clear()
        if ahead or arrival is Arrival.JUMP:
            self._outputs.new_run(None if self._array_input else key)

    def _drop(self, reason: str, detail: str = '') -> None:
        self.tally.dropped[reason] += 1
        self._tell(reason, detail or f'{self.tally.dropped[reason]} messages dropped')

    def _tell(self, reason: str, detail: str) -> None:
        self._warn(reason, lambda: (f'{self._outputs.label}: {reason}: '
                                    f'{HINTS.get(reason, "")}; {detail}'))

    def _send(self, message: Any, batch: Batch, update: Update, now_ns: int) -> bool:
        """Publish what an accepted message leads to; return False where it is withheld."""
        i = len(batch.keys) - 1 - update.reasons[::-1].index(None)
        stamp_ns, frame_id = update.stamps_ns[i], batch.frames[i]
        oldest_ns = stamp_ns - self.bank.policy.gap_reset_ns  # what is older begins anew anyway
        run = None if self._array_input else batch.keys[i]
        self.at_rate.keep(run, message, batch.keys, stamp_ns, frame_id)
        if self._leads[0]:
            self.at_rate.judge(stamp_ns, now_ns)
            return True
        if not self.enabled:
            smooth = self._answers.passed(batch, update)
        elif self._ahead_ns:
            stamp_ns += self._ahead_ns
            smooth = self._answers.ahead(batch.keys, stamp_ns, frame_id, oldest_ns)
        elif self._array_input:
            smooth = self._answers.filled(batch, update, stamp_ns, frame_id, oldest_ns)
        else:
            smooth = self._answers.smooth(batch.keys, update.estimate)
        bodies, whole = smooth, not self.enabled and passable(self._codec, message)
        if self._path_input:
            self._track.take(batch.stamps_ns, update.estimate.rows)
            bodies = Smooth(*(part[i:i + 1] for part in smooth))
            smooth = smooth._replace(rows=self._track.rows(not self.enabled))
        sent = self._outputs.send(message, stamp_ns, frame_id, None if whole else smooth, run,
                                  batch.keys, bodies)
        self.tally.published += sent
        return sent

    def _send_nothing(self, message: Any, batch: Batch, now_ns: int) -> None:
        """Publish an array without poses: that nothing is seen any more is news, too."""
        arrival, stamp_ns, *_ = arrive(None, batch.stamps_ns[0], self.bank.policy, now_ns or None)
        if arrival is Arrival.ZERO_STAMP:
            return self._drop(arrival.value)
        frame_id, (later, ahead_ns) = batch.frames[0], self._leads
        self.at_rate.keep(None, message, (), stamp_ns, frame_id)
        nothing = self._answers.ahead((), stamp_ns, frame_id, stamp_ns)
        if not later and not self._outputs.send(
                message, stamp_ns + ahead_ns, frame_id, nothing, None, (), nothing):
            return self._drop('withheld')
        self.tally.published += not later
        self.tally.accepted += 1

    def tick(self, now_ns: int) -> None:
        """Publish predictions to the present of all streams heard of lately."""
        self.at_rate.count()
        if self.enabled and now_ns:
            self.at_rate.tick(now_ns, self._ahead_ns)
