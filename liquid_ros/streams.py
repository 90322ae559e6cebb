# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""StreamBank: many streams, one batched step; the boundary that node and replay share."""

from operator import index
from typing import Dict, Hashable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from liquid_ros import saved
from liquid_ros.backend import Backend, NumpyBackend
from liquid_ros.beginnings import Beginnings
from liquid_ros.errors import InputError
from liquid_ros.intake import checked, Messages, refusals, waves
from liquid_ros.leaps import Leaps
from liquid_ros.manifold import unit_row, unit_rows
from liquid_ros.packing import estimate_layout, Layout
from liquid_ros.smoothers.base import Estimate, Smoother, State
from liquid_ros.smoothers.rts import ABLE
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.stepping import advanced, Given, predicted, ready
from liquid_ros.store import span, Store
from liquid_ros.timing import Arrival, arrive, BACK, NS_PER_S, RESTARTS, TimePolicy
from liquid_ros.update import Update
from liquid_ros.way import Way, WHENEVER_NS


class StreamBank:
    """
    Keep the state of any number of streams and advance them together.

    width: 3 for x y z, 7 for x y z qx qy qz qw.
    Streams are told apart by a key and are made when their first message comes.
    """

    def __init__(self, smoother: Smoother, width: int, policy: TimePolicy = TimePolicy(),
                 backend: Optional[Backend] = None) -> None:
        """Start with no streams; the smoother's weights must live on the backend."""
        if width not in (3, 7):
            raise InputError(f'got rows of width {width}, expected 3 (x y z) or 7 (pose)')
        self.width = width
        self.policy = policy
        self._untuned = self._smoother = ready(smoother, width)
        self._backend: Backend = backend or NumpyBackend()
        self._last_ns: Dict[Hashable, int] = {}
        self._frames: Dict[Hashable, str] = {}
        self._layout = Layout.of(smoother.init(self._backend.asarray(unit_row(width)))[0])
        self._said = estimate_layout(width)
        self.reset()

    def tune(self, tuning: Tuning) -> None:
        """Turn the knobs; the streams go on."""
        self._smoother = (self._untuned if tuning == Tuning() else
                          ready(self._untuned.tuned(tuning), self.width))

    def refuse(self, smoother: Smoother) -> Optional[str]:
        """Return why the streams cannot go on with another smoother, None where they can."""
        return saved.difference(self._untuned, smoother)

    def exchange(self, smoother: Smoother) -> None:
        """
        Go on with other weights; the streams keep what they know, the knobs are to be set anew.

        Errors: InputError where refuse() says why not, and nothing is changed.
        """
        reason = self.refuse(smoother)
        if reason is not None:
            raise InputError(reason)
        self._untuned = self._smoother = ready(smoother, self.width)

    def last_ns(self, key: Hashable) -> Optional[int]:
        """Return the stamp of the stream's last accepted message, None before the first."""
        return self._last_ns.get(key)

    def frames(self) -> Dict[Hashable, str]:
        """Return the streams that have begun, each with the frame_id it is in; '' if none."""
        return {key: self._frames.get(key, '') for key in self._last_ns}

    def peek(self, key: Hashable, names: Sequence[str] = ()) -> State:
        """
        Return of a stream's state what has these names or rts.Window keeps, NumPy arrays (1, ...).

        Errors: InputError where there is no such stream or, without names, no motion model.
        """
        names = names or getattr(self._untuned, 'linked', ())
        if key not in self._last_ns or not names:
            raise InputError(f'got stream {key!r} of {type(self._untuned).__name__}: expected one '
                             f'that has begun, of {ABLE}')
        state = self._layout.unpack(self._store.get(self._store.take((key,))), names)
        return {n: self._backend.to_numpy(array).copy() for n, array in state.items()}

    def reset(self, keys: Optional[Sequence[Hashable]] = None) -> None:
        """Forget these streams' past, or that of all; the next message starts them anew."""
        if keys is None:
            self._store = Store(self._backend, self._layout.size)
            self._young, self._leaps = Beginnings(self.width), Leaps()
            self._last_ns.clear()
            self._frames.clear()
        for key in keys or ():
            self._last_ns.pop(key, None)
            self._frames.pop(key, None)
            self._young.forget(key)
            self._leaps.forget(key)
            self._store.drop(key)

    def state(self) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
        """Return all that goes on, as arrays and metadata for safetensors.save."""
        keys = list(self._last_ns)
        rows = self._get(keys) if keys else {}
        return saved.pack(
            self._untuned, self.width, self._backend,
            saved.Streams(keys, list(self._last_ns.values()), list(map(self._frames.get, keys)),
                          rows, self._young.state(keys), self._leaps.state(keys)))

    def load_state(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, str]) -> None:
        """
        Go on where state() was called; the streams of now are forgotten.

        Errors: CheckpointError, and nothing is changed, where they are not of a bank like this.
        """
        streams = saved.unpack(self._untuned, self.width, self._backend, arrays, meta)
        self.reset()
        if streams.keys:
            self._store.put(self._store.take(streams.keys), self._layout.pack(streams.rows))
        self._last_ns = dict(zip(streams.keys, streams.last_ns))
        self._young.load(streams.keys, streams.young)
        self._leaps.load(streams.keys, streams.usual_s)
        self._frames = {key: frame for key, frame in zip(streams.keys, streams.frames)
                        if frame is not None}

    def predict(self, keys: Sequence[Hashable], stamps_ns: Sequence[int]) -> Estimate:
        """
        Return the streams' estimates at later stamps; their states stay as they are.

        keys: N stream names. stamps_ns: N integer nanoseconds. A row is NaN where there is no
        such stream, where the stamp is before its last message, or so late that the numbers end.
        Errors: InputError where the lengths do not fit, TypeError for a stamp that is no integer.
        """
        if len(keys) != len(stamps_ns):
            raise InputError(f'got {len(keys)} keys and {len(stamps_ns)} stamps')
        block = self._blank(len(keys))
        lasts_ns = [self._last_ns.get(key) for key in keys]
        ages_ns = [-1 if last is None else index(stamp) - last
                   for last, stamp in zip(lasts_ns, stamps_ns)]
        chosen = [i for i, age in enumerate(ages_ns) if age >= 0]
        if chosen:
            dt_s = np.array([ages_ns[i] / NS_PER_S for i in chosen])[:, None]
            packed = self._store.get(self._store.take(keys[i] for i in chosen))
            said, sound = predicted(self._smoother, self._backend, self._layout, packed, dt_s)
            block[[i for j, i in enumerate(chosen) if sound[j]]] = said[sound]
        return self._estimate(block)

    def update(self, keys: Sequence[Hashable], stamps_ns: Sequence[int], rows: np.ndarray,
               frames: Optional[Sequence[str]] = None, variances: Optional[np.ndarray] = None,
               received_ns: Optional[Sequence[int]] = None) -> Update:
        """
        Advance each stream by its message.

        keys: N stream names; where one comes more than once, in order.
        stamps_ns: N integer nanoseconds. rows: (N, width) float64.
        frames: N frame_ids; a stream that comes in another one starts anew.
        variances: (N, A) the messages' own, as Estimate.variance has them; one that is not
        finite and above zero counts as not stated.
        received_ns: N times of receipt on the stamps' clock.
        Errors: InputError where the lengths or the width do not fit, TypeError for a stamp that
        is no integer.
        """
        stamps_ns = [index(stamp) for stamp in stamps_ns]  # unsigned ones would wrap around
        messages = checked(self.width, keys, stamps_ns, rows, frames, variances, received_ns)
        count = len(keys)
        block = self._blank(count)
        answer = Update(np.zeros(count, dtype=bool), refusals(messages.rows), [None] * count,
                        stamps_ns, np.zeros(count, dtype=bool), self._estimate(block))
        for wave in waves(keys):
            self._wave(messages, wave, answer, block)
        return answer

    def advance_bytes(self, way: Way, raw: bytes, after_ns: int, received_ns: Optional[int] = None
                      ) -> int:
        """
        Return the stamp of an ordinary next message in bytes; way has what becomes of it.

        0, and all is as it was, where update() has more to say, nothing is compiled, or the stamp
        is not later than after_ns.
        """
        key = way.key
        last_ns = self._last_ns.get(key)
        if (last_ns is None or self._frames.get(key) != way.frame or key in self._young
                or not way.fits(self._smoother)):
            return 0
        policy = self.policy
        until_ns = WHENEVER_NS if received_ns is None else received_ns + policy.future_ns
        later_ns: int = way.call(
            way.at, raw, len(raw), self._store.find(key), last_ns, after_ns, until_ns,
            policy.gap_reset_ns, self._leaps.most_s(key))
        if not later_ns:
            return 0
        self._leaps.ordinary(key, later_ns / NS_PER_S)
        self._last_ns[key] = last_ns + later_ns
        return last_ns + later_ns

    def _get(self, keys: Sequence[Hashable]) -> State:
        return self._layout.unpack(self._store.get(self._store.take(keys)))

    def _blank(self, count: int) -> np.ndarray:
        return np.full((count, self._said.size), np.nan)

    def _estimate(self, block: np.ndarray) -> Estimate:
        return Estimate(*[block[:, start:stop] for start, stop in self._said.columns.values()])

    def _wave(self, messages: Messages, chosen: range, answer: Update, block: np.ndarray) -> None:
        begins: List[int] = []
        steps: Dict[int, float] = {}  # the intervals of those that go on
        for i in chosen:
            if answer.reasons[i] is not None:
                continue
            arrival, dt_s = self._arrive(messages, i, answer)
            if dt_s:
                steps[i] = dt_s
            elif arrival in RESTARTS:
                begins.append(i)
            else:
                answer.reasons[i] = arrival.value
        if begins:
            self._advance(messages, begins, None, answer, block)
        if steps:
            intervals_s = np.array(list(steps.values()))[:, None]
            self._look_back(messages, list(steps), intervals_s, answer)
            self._advance(messages, list(steps), intervals_s, answer, block)

    def _look_back(self, messages: Messages, chosen: List[int], dt_s: np.ndarray, answer: Update
                   ) -> None:
        """Begin streams anew with the message before where it was a false start."""
        young = [j for j, i in enumerate(chosen) if messages.keys[i] in self._young]
        if not young:
            return
        at = [chosen[j] for j in young]
        keys = [messages.keys[i] for i in at]
        astray, rows = self._young.follow(keys, unit_rows(messages.rows[at]), dt_s[young])
        if astray:
            begun = advanced(self._smoother, self._backend, self._layout, None, Given(rows))[0]
            self._store.put(self._store.take(keys[j] for j in astray), begun)
        for j in astray:
            answer.arrivals[at[j]] = Arrival.FALSE_START

    def _arrive(self, messages: Messages, i: int, answer: Update) -> Tuple[Arrival, float]:
        """Return what message i is to its stream, and dt where that goes on, else 0.0."""
        key = messages.keys[i]
        received_ns = None if messages.received_ns is None else index(messages.received_ns[i])
        arrival, stamp_ns, dt_s, future = arrive(
            self._last_ns.get(key), answer.stamps_ns[i], self.policy, received_ns)
        frame = None if messages.frames is None else messages.frames[i]
        # JUMP stays JUMP: the stream's clock went back
        if frame is not None and (dt_s or arrival is Arrival.GAP) \
                and self._frames.get(key, frame) != frame:
            arrival, dt_s = Arrival.FRAME, 0.0
        elif arrival in BACK and self._frames.get(key, frame) == frame:
            before = self._leaps.undo(key, stamp_ns, frame, self.policy, self._store)
            if before is not None:
                arrival = Arrival.STAMP_AHEAD
                self._last_ns[key], dt_s = before
                self._young.forget(key)
        elif arrival is Arrival.GAP or (dt_s and not self._leaps.ordinary(key, dt_s)):
            self._leaps.note(key, self._last_ns[key], stamp_ns, self._frames.get(key),
                             self.policy, self._store)
        answer.arrivals[i], answer.stamps_ns[i], answer.future[i] = arrival, stamp_ns, future
        return arrival, dt_s

    def _advance(self, messages: Messages, chosen: List[int], dt_s: Optional[np.ndarray],
                 answer: Update, block: np.ndarray) -> None:
        rows = span(chosen)
        measured = unit_rows(messages.rows[rows])
        at = self._store.take([messages.keys[i] for i in chosen])
        variances = None if messages.variances is None else messages.variances[rows]
        packed = None if dt_s is None else self._store.get(at)
        following, estimates, sound = advanced(self._smoother, self._backend, self._layout,
                                               packed, Given(measured, dt_s, variances))
        if False not in sound.tolist():
            self._store.put(at, following)
            block[rows] = estimates
            answer.accepted[rows] = True
        else:  # these keep what they had
            kept = np.flatnonzero(sound).tolist()
            self._store.put([at[j] for j in kept], following[kept])
            for j in np.flatnonzero(~sound).tolist():
                answer.reasons[chosen[j]] = 'diverged'
            chosen, measured = [chosen[j] for j in kept], measured[kept]
            block[chosen] = estimates[kept]
            answer.accepted[chosen] = True
        if dt_s is None:
            self._young.begin([messages.keys[i] for i in chosen], measured)
        for i in chosen:
            key = messages.keys[i]
            self._last_ns[key] = answer.stamps_ns[i]
            if messages.frames is not None:
                self._frames[key] = messages.frames[i]
