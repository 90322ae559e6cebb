# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Texts made from the parameters: config/*.yaml, config/presets/*.yaml, README's table, --help."""

import textwrap
from typing import Dict, List, Tuple

from liquid_ros.params import Spec, SPECS, Value
from liquid_ros.presets import REASONS

HEAD = '# Copyright 2026 the liquid_ros authors\n# SPDX-License-Identifier: Apache-2.0\n\n'


def files() -> Dict[str, str]:
    """Return the text of each YAML file by its path below config/."""
    made = {'smoother.yaml': yaml_text()}
    made.update((f'presets/{name}.yaml', preset_text(name)) for name in REASONS)
    return made


def yaml_text() -> str:
    """Return config/smoother.yaml: every parameter at its default, its description above it."""
    lines = _comment('Every parameter of smoother_node at its default. Keep the lines you change: '
                     'what is given here comes before a preset.', '')
    lines += ['/**:', '  ros__parameters:']
    for spec in SPECS.values():
        tells = f'{spec.expected()}; ' if spec.bounded else ''
        star = '* ' if spec.per_input else ''
        lines += _comment(star + spec.description)
        lines += _comment(f'({tells}can change {spec.changes})')
        lines.append(f'    {spec.name}: {_yaml(spec.default)}')
    return HEAD + '\n'.join(lines) + '\n'


def preset_text(name: str) -> str:
    """Return config/presets/<name>.yaml: what the preset sets, and why."""
    lines = _comment(f'The preset {name}, as a file: for --params-file, or to start from. The '
                     f'node knows it as preset: {name}, too.', '')
    lines += ['/**:', '  ros__parameters:']
    lines += [f'    preset: {name}'] if not REASONS[name] else []
    for parameter, (value, why) in REASONS[name].items():
        lines += [*_comment(why), f'    {parameter}: {_yaml(value)}']
    return HEAD + '\n'.join(lines) + '\n'


def markdown_table() -> str:
    """Return the README's table of parameters."""
    rows: List[Tuple[str, ...]] = [
        ('parameter', 'default', 'what it does', 'can change'), ('---',) * 4]
    for spec in SPECS.values():
        rows.append((f'`{spec.name}`' + (' *' if spec.per_input else ''),
                     f'`{_yaml(spec.default)}`', _told(spec), spec.changes))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows) + '\n'


def plain_text() -> str:
    """Return what --help says of the parameters."""
    lines = []
    for spec in SPECS.values():
        default = f' (default: {_yaml(spec.default)})' if spec.default not in ('', ()) else ''
        lines.append(f'  {spec.name}{" *" * spec.per_input}{default}')
        lines += textwrap.wrap(_told(spec), 95, initial_indent='      ',
                               subsequent_indent='      ')
    return '\n'.join(lines)


def _told(spec: Spec) -> str:
    return spec.description + (f' ({spec.expected()})' if spec.bounded else '')


def _comment(text: str, indent: str = '    ') -> List[str]:
    return textwrap.wrap(text, 99, initial_indent=f'{indent}# ', subsequent_indent=f'{indent}# ',
                         break_on_hyphens=False)


def _yaml(value: Value) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, tuple):
        return "['']"  # an empty list has no type for ROS
    return (value or "''") if isinstance(value, str) else repr(value)
