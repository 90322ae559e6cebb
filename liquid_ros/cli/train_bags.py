# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""liquid_ros train --bag: fit the weights to a sensor's own recordings."""

from argparse import Namespace
from pathlib import Path
import sys
from typing import Any, Dict, List

from liquid_ros.cli import bags, expect_place
from liquid_ros.cli.loop import run
from liquid_ros.cli.options import policy_of
from liquid_ros.cli.train_plot import check, plot
from liquid_ros.errors import ParameterError

REFUSED = 3
SCRATCH = 'scratch'
SHOWN = 8  # streams
TOLD_HASHES = 200  # of more recordings: these, and how many there were


def tune(args: Namespace, given: Dict[str, Any], world: Any) -> int:
    """
    Fit, judge, and write weights where they are better; return the exit status.

    Errors: LiquidError, and then nothing is written.
    """
    from liquid_ros.checkpoint import find
    from liquid_ros.evaluation.truth import keep_apart
    from liquid_ros.training.held_out import compare
    from liquid_ros.training.loader import Loader
    from liquid_ros.training.tune import Tuner
    path = find('' if args.start == SCRATCH else args.start)
    config, weights = begin(args, given, path)
    output = Path(args.output)
    for place in (args.output, args.plot, str(output.with_suffix('.pt'))):
        expect_place(place)
    if args.plot:
        check(Path(args.plot))
    policy = policy_of(args)
    jobs = bags.jobs(args.bag, args.topic, args.truth, policy, path, config)
    keep_apart((args.output, args.plot), [job.path for job in jobs], args.truth)
    loader = Loader(jobs, bags.load, args.workers if len(jobs) > 1 else 0, config.keep,
                    repr((sorted(args.topic), args.truth, policy)))
    try:
        held = loader.some(config.judges)
        names = sorted({item.track.name for item in held})
        if len(names) > 1 and not world.rank:
            print(f'liquid_ros: learning from {", ".join(names[:SHOWN])}'
                  + (f' and {len(names) - SHOWN} more' if len(names) > SHOWN else '')
                  + ('' if args.topic else '; --topic chooses'), file=sys.stderr)
        tuner = Tuner(config, weights, loader, held, world)
        run(tuner, args, world, config.every, tuner.look)
        for digests, problems in world.all((loader.digests, loader.problems)):
            loader.digests.update(digests)
            loader.problems.update(problems)
        told = sorted({text for texts in loader.problems.values() for text in texts})
        if world.rank:
            return 0
        for text in told:
            print(f'liquid_ros: {text}', file=sys.stderr)
        verdict = compare(bags.smoother(path), tuner.smoother(tuner.found()), held,
                          config.horizons, config.forgotten)
        if not tuner.gained:
            verdict.reasons.insert(0, 'no weights on the way were better than those one began '
                                   'with, on the part to stop by')
        print('\n'.join(verdict.words()), flush=True)
        refused = bool(verdict.reasons) and not args.force
        if refused:
            print(f'liquid_ros: not written: {"; ".join(verdict.reasons)} (--force writes it '
                  'nevertheless)', file=sys.stderr)
        else:
            write(tuner, output, verdict, provenance(jobs, loader, path, args))
            print(f'{output}: written; the node takes it as the parameter checkpoint')
        if args.plot:
            plot(Path(args.plot), tuner, verdict)
        return REFUSED if refused else 0
    finally:
        loader.close()


def begin(args: Namespace, given: Dict[str, Any], path: str) -> Any:
    """
    Return the TuneConfig, of the shape of the weights one begins with, and these.

    Errors: ParameterError, CheckpointError.
    """
    import numpy as np

    from liquid_ros.backend import NumpyBackend
    from liquid_ros.checkpoint import load
    from liquid_ros.training.modules import MODULES
    from liquid_ros.training.tune_config import TuneConfig
    start = load('liquid', path, NumpyBackend())
    shape = {'smoother': 'liquid', **{name: getattr(
        start.config, name) for name in ('cell', 'hidden', 'activation')}}  # type: ignore
    for name, value in shape.items():
        if given.get(name, value) != value:
            raise ParameterError(f'got {name}: {given[name]!r}, but with --bag it is that of the '
                                 f'weights one begins with, {value!r}')
    scratch = {'trainable': 'all'} if args.start == SCRATCH else {}
    config = TuneConfig.from_dict({**scratch, **given, **shape})
    weights = start.weights  # type: ignore[attr-defined]
    if args.start == SCRATCH:
        import torch
        torch.manual_seed(config.seed)
        fresh = MODULES['liquid'](config).weights()
        weights = {name: array.detach().numpy() for name, array in fresh.items()}
    return config, {name: np.asarray(array, np.float32) for name, array in weights.items()}


def provenance(jobs: List[Any], loader: Any, start: str, args: Namespace) -> Dict[str, Any]:
    """Return where weights come from: the recordings' hashes, and the weights before them."""
    from liquid_ros.checkpoint import fingerprint
    read = [(Path(jobs[i].path).resolve().name, digest)
            for i, digest in sorted(loader.digests.items()) if digest]
    return {'recordings': [{'name': name, 'sha256': digest} for name, digest in read[
        :TOLD_HASHES]], 'recordings_read': len(read), 'topics': list(args.topic),
        'truth': args.truth, 'gap_reset_s': args.gap_reset, 'jump_reset_s': args.jump_reset,
        'begun_with': args.start if args.start == SCRATCH else
        fingerprint(start)}


def write(tuner: Any, output: Path, verdict: Any, origin: Dict[str, Any]) -> None:
    """
    Write the weights with all that is known of how they came to be.

    Errors: CheckpointError, and then what was there before is there still.
    """
    from liquid_ros.checkpoint import save
    from liquid_ros.evaluation.figures import told
    save('liquid', str(output), tuner.shape, tuner.found(), {
        'training': tuner.config.to_dict(), 'iterations': tuner.iteration,
        'figures': {name: round(value, 4) for name, value in tuner.figures.items()},
        'looks': [[look.iteration, told(round(look.cost, 5)), told(round(look.gain, 5))]
                  for look in tuner.looks],
        'held_out': {'gain_nats': round(verdict.gain, 5),
                     'error': told(round(verdict.error, 5)),
                     'rmse_ratio': [told(round(ratio, 5)) for ratio in verdict.rmse],
                     'simulated_ratio': round(verdict.simulated, 5),
                     'messages': verdict.messages, 'forced': bool(verdict.reasons)},
        **origin})
