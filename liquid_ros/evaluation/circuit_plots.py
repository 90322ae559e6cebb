# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A cell's wiring, and what its neurons do over a recording, as figures."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from liquid_ros.evaluation.circuit import Circuit, SENSORY, Synapses, WORDS
from liquid_ros.evaluation.circuit_activity import Activity, Answer
from liquid_ros.evaluation.plots import sheet

EXCITES, INHIBITS, NEURON = '#c8102e', '#1f5fa8', '#333333'
EVENTS = {'outlier': '#c8102e', 'stop': '#6b7785', 'turn': '#b07d00'}
MOST = 150  # synapses drawn between two layers, the strongest
WIDEST = 2.2
LOOP = 0.7  # half the height of a neuron's synapse with itself, in rows
COLUMN = 2.6  # inches between two layers
ROW = 0.135  # inches between two neurons of the longest layer


def draw(path: Path, circuit: Circuit) -> None:
    """
    Write the wiring: a column a layer, red excites, blue inhibits, the width is the weight.

    The format goes by the path's suffix.
    """
    from matplotlib.lines import Line2D
    longest = max(len(layer.labels) for layer in circuit.layers)
    height = ROW * longest + 1.1
    places = _places(circuit, longest)
    with sheet(path, figsize=(COLUMN * len(circuit.layers) + 1.4, height)) as figure:
        panel = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        told = [_wires(panel, synapses, places) for synapses in circuit.synapses]
        for layer in circuit.layers:
            _neurons(panel, layer.name, layer.labels, places[layer.name])
        panel.legend(handles=[Line2D([], [], color=EXCITES, label='excites'),
                              Line2D([], [], color=INHIBITS, label='inhibits')],
                     loc='lower right', bbox_to_anchor=(1.0, 0.0), ncols=2)
        panel.text(0.01, 0.012, _note(circuit.synapses, told), transform=panel.transAxes,
                   fontsize=6.5, va='bottom')
        panel.set_xlim(-0.75, len(circuit.layers) - 0.45)
        panel.set_ylim(-longest / 2 - 5.5, longest / 2 + 3.0)
        panel.axis('off')


def _places(circuit: Circuit, longest: int) -> Dict[str, np.ndarray]:
    """Return each layer's places (N, 2), top first; short layers are spread, not crowded."""
    found = {}
    for column, layer in enumerate(circuit.layers):
        count = len(layer.labels)
        pitch = min(max(1.0, 0.85 * longest / count), 4.0)
        y = pitch * (0.5 * (count - 1) - np.arange(count))
        found[layer.name] = np.stack([np.full(count, float(column)), y], 1)
    return found


def _wires(panel: Any, synapses: Synapses, places: Dict[str, np.ndarray]) -> Tuple[int, int]:
    """Draw the strongest synapses of one kind; return how many are drawn and how many are."""
    from matplotlib.collections import LineCollection
    size = np.abs(synapses.weights)
    there = int((size > 0.0).sum())
    if not there:
        return 0, 0
    drawn = np.argsort(-size, axis=None)[:min(MOST, there)][::-1]  # the strongest on top
    source, target = np.unravel_index(drawn, size.shape)
    a, b = places[synapses.source][source], places[synapses.target][target]
    share = np.linspace(0.0, 1.0, 24)[:, None, None]
    bend = share * share * (3.0 - 2.0 * share)
    if synapses.source == synapses.target:  # a bow to the right, or a loop
        way = np.abs(a[:, 1] - b[:, 1])
        depth = np.where(way > 0.0, 0.1 + 0.22 * way / max(float(way.max()), 1.0), 0.08)
        x = a[None, :, 0] + depth * np.sin(np.pi * share[..., 0])
        loop = np.where(way > 0.0, 0.0, LOOP) * np.sin(2.0 * np.pi * share[..., 0])
        lines = np.stack([x, a[None, :, 1] + (b - a)[None, :, 1] * share[..., 0] + loop], -1)
    else:
        lines = np.stack([a[None, :, 0] + (b - a)[None, :, 0] * share[..., 0],
                          a[None, :, 1] + (b - a)[None, :, 1] * bend[..., 0]], -1)
    weight = synapses.weights[source, target]
    strength = np.abs(weight) / size.max()
    panel.add_collection(LineCollection(
        list(np.moveaxis(lines, 1, 0)), linewidths=0.15 + WIDEST * strength,
        colors=[EXCITES if value > 0.0 else INHIBITS for value in weight],
        alpha=0.25 + 0.6 * strength, capstyle='round', zorder=1), autolim=False)
    return len(drawn), there


def _neurons(panel: Any, name: str, labels: Tuple[str, ...], at: np.ndarray) -> None:
    """Draw a layer's dots and names: of what is outside the cell beside them, else in them."""
    inside = name not in (SENSORY, WORDS)
    panel.plot(at[:, 0], at[:, 1], 'o', ms=9.0 if inside else 5.0, mfc='white', mec=NEURON,
               mew=0.7, zorder=3)
    side = {SENSORY: -0.05, WORDS: 0.05}.get(name)
    for (x, y), label in zip(at, labels):
        if side is not None:
            panel.text(x + side, y, label, ha='right' if side < 0 else 'left', va='center',
                       fontsize=6.0)
        else:
            panel.text(x, y, label, ha='center', va='center_baseline', fontsize=4.2, zorder=4)
    panel.text(at[0, 0], at[0, 1] + 1.2, f'{name} ({len(labels)})', ha='center', va='bottom',
               fontsize=8.0, weight='bold')


def _note(synapses: Tuple[Synapses, ...], told: List[Tuple[int, int]]) -> str:
    """Say where only the strongest synapses are drawn."""
    parts = []
    for one, (drawn, there) in zip(synapses, told):
        some = f'{drawn} of {there}' if drawn < there else f'all {there}'
        parts.append(f'{one.source} to {one.target}: {some}')
    return 'synapses drawn, the strongest first: ' + ', '.join(parts)


def draw_activity(path: Path, circuit: Circuit, activity: Activity,
                  answers: Dict[str, List[Answer]]) -> None:
    """Write the trajectory, each neuron's activity and its time constant over the same time."""
    names = circuit.neurons()
    order = sorted(range(len(names)), key=lambda k: [n.name for n in circuit.layers].index(
        names[k][0]))
    rows = 2 + (activity.tau_s is not None)
    tall = max(1.6, 0.075 * len(order) + 0.3)
    with sheet(path, figsize=(8.4, 1.9 + tall * (rows - 1) + 0.5),
               layout='constrained') as figure:
        grid = figure.add_gridspec(rows, 1, height_ratios=[1.9] + [tall] * (rows - 1))
        top = figure.add_subplot(grid[0])
        _trajectory(top, activity)
        below = figure.add_subplot(grid[1], sharex=top)
        size = np.abs(activity.neurons).max(0) + 1e-12
        _image(figure, below, activity.t_s, (activity.neurons / size)[:, order], 'RdBu_r',
               (-1.0, 1.0), 'activity over its largest')
        _marks(below, names, order, answers)
        if activity.tau_s is not None:
            tau = np.log10(activity.tau_s[:, order])
            last = figure.add_subplot(grid[2], sharex=top)
            _image(figure, last, activity.t_s, tau, 'viridis',
                   (float(np.quantile(tau, 0.01)), float(np.quantile(tau, 0.99)) + 1e-6),
                   'log10 of time constant (s)')
            _marks(last, names, order, {})
        figure.axes[-2].set_xlabel('time (s)')


def _trajectory(panel: Any, activity: Activity) -> None:
    moved = activity.rows[:, :3] - activity.rows[:1, :3]
    for axis, style in zip('xyz', ('-', '--', ':')):
        panel.plot(activity.t_s, moved[:, 'xyz'.index(axis)], style, color=NEURON, lw=0.9,
                   label=axis)
    panel.margins(x=0)
    low, high = panel.get_ylim()
    for k, (name, when) in enumerate(activity.events.items()):
        y = low - (0.06 + 0.07 * k) * (high - low)
        panel.plot(activity.t_s[when], np.full(int(when.sum()), y), '|', ms=4.5, mew=0.7,
                   color=EVENTS[name], label=f'{name} ({int(when.sum())})')
    panel.set(ylabel='position (m)', title='trajectory, and what happens on it')
    panel.legend(loc='lower right', bbox_to_anchor=(1.0, 1.0), ncols=6, borderaxespad=0.1)


def _image(figure: Any, panel: Any, t_s: np.ndarray, values: np.ndarray, colours: str,
           limits: Tuple[float, float], label: str) -> None:
    """Draw values (T, N) over time, a row a neuron, at their own times."""
    edges = np.concatenate([t_s[:1], 0.5 * (t_s[1:] + t_s[:-1]), t_s[-1:]])
    mesh = panel.pcolormesh(edges, np.arange(values.shape[1] + 1), values.T, cmap=colours,
                            vmin=limits[0], vmax=limits[1], rasterized=True)
    panel.invert_yaxis()
    figure.colorbar(mesh, ax=panel, label=label, pad=0.01, aspect=30)


def _marks(panel: Any, names: List[Tuple[str, str]], order: List[int],
           answers: Dict[str, List[Answer]]) -> None:
    """Name the neurons, and behind those that answer best to an event, the event."""
    best: Dict[int, List[str]] = {}
    for event, found in answers.items():
        if found:
            best.setdefault(found[0].neuron, []).append(event)
    panel.set_yticks(np.arange(len(order)) + 0.5)
    panel.set_yticklabels([' '.join([*(f'{event}:' for event in best.get(k, [])), names[k][1]])
                           for k in order], fontsize=4.5)
    panel.tick_params(axis='y', length=0)
