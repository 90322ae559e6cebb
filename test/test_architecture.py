# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Who may import whom: the table below against the imports in the sources."""

import ast
from pathlib import Path
import subprocess
import sys
from typing import Iterator, List, NamedTuple, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'liquid_ros'
MAX_LINES = 300
HEADER = ['# Copyright 2026 the liquid_ros authors', '# SPDX-License-Identifier: Apache-2.0']

# Names of this package's modules; a name stands for what is below it, too.
L0 = ('errors', 'files', 'frames', 'params', 'params_text', 'presets', 'signals', 'timing')
L1 = L0 + ('arrays', 'cdr', 'cuda', 'fusing', 'geometry', 'manifold', 'navsat', 'packing',
           'smoothers')
L2 = L1 + ('backend', 'beginnings', 'checkpoint', 'fastest', 'fused', 'fused_cuda', 'intake',
           'leaps', 'reorder', 'safetensors', 'saved', 'stepping', 'store', 'streams',
           'update', 'way')
ROS = ('rclpy', 'builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs', 'lifecycle_msgs',
       'nav_msgs', 'rcl_interfaces', 'std_msgs', 'std_srvs')
ANY = ('',)


class Row(NamedTuple):
    """
    What some modules may import beyond the standard library and their own package's root.

    eager: libraries, anywhere. late: libraries, inside functions or for type checking only.
    inner, inner_late: modules of this package, likewise.
    """

    modules: Tuple[str, ...]
    eager: Tuple[str, ...]
    late: Tuple[str, ...]
    inner: Tuple[str, ...]
    inner_late: Tuple[str, ...] = ()


# The first row that names a module is the one that counts.
TABLE = (
    Row(L0, (), (), L0),
    Row(('cuda',), ('numpy',), ('cuda', 'torch'), L0),
    Row(('smoothers.cell_cuda', 'smoothers.cell_grad', 'smoothers.cell_sequence'),
        ('numpy', 'torch'), (), L1),
    Row(L1, ('numpy',), (), L1),
    Row(('backend',), ('numpy',), ('torch',), L1),
    Row(('fused_cuda',), ('numpy',), ('torch',), L2),
    Row(L2, ('numpy',), (), L2),
    Row(('training',), ('numpy', 'safetensors', 'torch'), ('ncps', 'tqdm'), L2 + ('training',)),
    Row(('evaluation.plots', 'evaluation.circuit_plots'), ('numpy',), ('matplotlib',),
        L2 + ('evaluation',)),
    Row(('evaluation',), ('numpy',), ('rosbags', 'tqdm'), L2 + ('evaluation',)),
    Row(('ros',), ('numpy',) + ROS, ('tf2_msgs',), L2 + ('ros',)),
    Row(('cli', '__main__'), (), ANY, L0 + ('cli',), ANY),  # fast to start
)


class Import(NamedTuple):
    """One imported name; late where loading the module does not load it."""

    name: str
    line: int
    late: bool


def below(name: str, tops: Tuple[str, ...]) -> bool:
    """Return whether a dotted name is one of tops or lies below one; '' is above them all."""
    return any(not top or name == top or name.startswith(top + '.') for top in tops)


def imports(node: ast.AST, late: bool = False) -> Iterator[Import]:
    """Yield what a syntax tree imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, late)
        elif isinstance(child, ast.ImportFrom):
            # 'from a import b' may mean the module a.b
            for alias in child.names:
                yield Import(f'{"." * child.level}{child.module or ""}.{alias.name}',
                             child.lineno, late)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            for_types = isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.dump(child.test)
            yield from imports(child, late or inside or for_types)


def module_name(path: Path) -> str:
    """Return a source's dotted name without the package's, '' for the package itself."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def sources() -> List[Path]:
    """Return every Python source of the repository, set-up and tests included."""
    tops = [PACKAGE, 'benchmarks', 'launch', 'test', 'tools']
    return sorted([path for top in tops for path in (ROOT / top).rglob('*.py')]
                  + list(ROOT.glob('*.py')))


MODULES = {module_name(path): path for path in sources() if path.is_relative_to(ROOT / PACKAGE)}


@pytest.mark.parametrize('name', [name for name in MODULES if name])
def test_imports_follow_the_table(name: str) -> None:
    row = next((row for row in TABLE if below(name, row.modules)), None)
    assert row is not None, f'{name} has no row in the table: which layer is it?'
    wrong = []
    for found in imports(ast.parse(MODULES[name].read_text(encoding='utf-8'))):
        top, _, rest = found.name.partition('.')
        if top == PACKAGE:
            allowed = row.inner + (row.inner_late if found.late else ())
            # 'from liquid_ros import __version__' names no module
            fine = below(rest, allowed) or not any(below(rest, (m,)) for m in MODULES if m)
        elif top == '':
            fine = False  # relative
        else:
            fine = (top in sys.stdlib_module_names
                    or below(top, row.eager + (row.late if found.late else ())))
        if not fine:
            how = 'late' if found.late else 'when loaded'
            wrong.append(f'line {found.line}: {found.name} ({how})')
    assert not wrong, f'{MODULES[name].relative_to(ROOT)} may not import:\n' + '\n'.join(wrong)


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imports(ast.parse(MODULES[''].read_text(encoding='utf-8'))))


@pytest.mark.parametrize('name', MODULES)
def test_module_is_short(name: str) -> None:
    count = len(MODULES[name].read_text(encoding='utf-8').splitlines())
    assert count <= MAX_LINES, f'got {count} lines, expected at most {MAX_LINES}'


def test_every_source_has_the_licence_header() -> None:
    bare = [str(path.relative_to(ROOT)) for path in sources()
            if path.read_text(encoding='utf-8').splitlines()[:2] != HEADER]
    assert not bare


# The node's CPU path and the command line start fast, and without what they do not need.
FRESH = {
    'liquid_ros.streams, liquid_ros.checkpoint': ('torch', 'rclpy', 'rosbags', 'matplotlib'),
    'liquid_ros.evaluation.recording': ('torch', 'rclpy', 'matplotlib'),
    'liquid_ros.__main__, liquid_ros.cli.smooth, liquid_ros.cli.evaluate': (
        'torch', 'rclpy', 'matplotlib', 'numpy'),
}


@pytest.mark.parametrize('loaded', FRESH)
def test_fresh_process_loads_no_more_than_it_needs(loaded: str) -> None:
    code = f'import {loaded}, sys; print(*sorted(set(sys.modules) & set({FRESH[loaded]!r})))'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
