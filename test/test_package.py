# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""package.xml, setup.py and what colcon installs say the same."""

import ast
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any, List, Set
from xml.etree import ElementTree

import pytest

import liquid_ros

ROOT = Path(__file__).resolve().parents[1]
NAME = 'liquid_ros'
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()

# Keys of the rosdep database and packages of every distribution from Humble on.
KEYS = {
    'diagnostic_msgs', 'geometry_msgs', 'launch', 'launch_ros', 'lifecycle_msgs', 'nav_msgs',
    'python3-hypothesis', 'python3-matplotlib', 'python3-mypy', 'python3-numpy',
    'python3-pytest', 'python3-rosbags-pip', 'python3-torch', 'python3-tqdm', 'python3-yaml',
    'rcl_interfaces', 'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs',
    'tf2_msgs',
}
# What is imported under another name than its key, or comes with another key.
KEY_OF = {'builtin_interfaces': 'rcl_interfaces', 'rosbags': 'python3-rosbags-pip'}
NO_KEY = {'cuda', 'ncps', 'safetensors'}  # comes with torch; tests and training only


def text(tag: str) -> str:
    """Return the text of a tag of package.xml."""
    found = MANIFEST.findtext(tag)
    assert found is not None, f'package.xml has no <{tag}>'
    return found.strip()


def depends(*tags: str) -> Set[str]:
    """Return the keys package.xml names in these tags."""
    return {(found.text or '').strip() for tag in tags for found in MANIFEST.findall(tag)}


@pytest.fixture(scope='module')
def dist() -> Any:
    """Return setup.py as setuptools understands it, nothing run."""
    pytest.importorskip('setuptools')
    from distutils.core import run_setup
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        return run_setup('setup.py', stop_after='init')
    finally:
        os.chdir(before)


@pytest.fixture(scope='module')
def prefix() -> Path:
    """Return the prefix colcon installed this package to."""
    for entry in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if entry and (Path(entry) / 'share' / NAME / 'package.xml').is_file():
            return Path(entry)
    pytest.skip('no colcon install of the package is sourced')


def test_manifest_is_format_3_and_ament_python() -> None:
    assert MANIFEST.get('format') == '3'
    assert text('license') == 'Apache-2.0'
    assert text('export/build_type') == 'ament_python'


def test_names_versions_and_licences_agree(dist: Any) -> None:
    assert dist.get_name() == text('name') == NAME
    assert dist.get_version() == text('version') == liquid_ros.__version__
    assert dist.get_license() == text('license')
    assert re.fullmatch(r'\d+\.\d+\.\d+', text('version'))


def test_changelog_names_the_version_or_the_next_one() -> None:
    lines = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8').splitlines()
    assert lines[1] == f'Changelog for package {NAME}'
    heads = [above for above, line in zip(lines[3:], lines[4:]) if line and set(line) == {'-'}]
    assert heads[0] == 'Forthcoming' or heads[0].startswith(text('version') + ' (')


def test_licence_text_is_whole() -> None:
    licence = (ROOT / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License' in licence
    assert 'APPENDIX: How to apply the Apache License to your work' in licence


def test_every_dependency_is_a_known_key() -> None:
    named = {element.tag for element in MANIFEST if element.tag.endswith('depend')}
    assert named == {'exec_depend', 'test_depend'}
    assert depends('exec_depend', 'test_depend') <= KEYS


def test_every_imported_library_is_a_dependency() -> None:
    """Look at the package and its launch files; the tests' own libraries are not robots' needs."""
    tops = set()
    for path in [*(ROOT / NAME).rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops.add((node.module or '').split('.')[0])
    tops -= set(sys.stdlib_module_names) | {NAME} | NO_KEY
    known = depends('exec_depend')
    missing = {top for top in tops if not {top, f'python3-{top}', KEY_OF.get(top)} & known}
    assert not missing


def test_entry_points_are_there(dist: Any) -> None:
    scripts = dict(line.replace(' ', '').split('=') for line in
                   dist.entry_points['console_scripts'])
    assert set(scripts) == {'circuit', 'demo', 'evaluate', NAME, 'smooth', 'smoother_node',
                            'train'}
    for target in scripts.values():
        module, _, function = target.partition(':')
        path = ROOT / Path(*module.split('.')).with_suffix('.py')
        tree = ast.parse(path.read_text(encoding='utf-8'))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_all_packages_and_data_are_shipped(dist: Any) -> None:
    packages = {'.'.join(path.parent.relative_to(ROOT).parts)
                for path in (ROOT / NAME).rglob('__init__.py')}
    assert set(dist.packages) == packages
    for _, files in dist.data_files:
        for file in files:
            assert (ROOT / file).is_file()


def test_what_a_package_reads_is_shipped_with_it(dist: Any) -> None:
    shipped = {path for pattern in dist.package_data[NAME] for path in (ROOT / NAME).glob(pattern)}
    beside = {path for kind in ('safetensors', 'css', 'js')
              for path in (ROOT / NAME).rglob(f'*.{kind}')}
    assert beside and beside <= shipped


def test_resource_marker_exists(dist: Any) -> None:
    assert (ROOT / 'resource' / NAME).is_file()
    assert ('share/ament_index/resource_index/packages', [f'resource/{NAME}']) in dist.data_files


def test_scripts_go_where_ros2_run_looks() -> None:
    config = (ROOT / 'setup.cfg').read_text(encoding='utf-8')
    assert f'script_dir=$base/lib/{NAME}\n' in config
    assert f'install_scripts=$base/lib/{NAME}\n' in config


@pytest.mark.parametrize('folder, pattern', [('launch', '*.py'), ('config', '*.yaml'),
                                             ('config/presets', '*.yaml'),
                                             ('layouts', '*.xml'), ('rviz', '*.rviz')])
def test_install_has_every_data_file(prefix: Path, folder: str, pattern: str) -> None:
    for path in (ROOT / folder).glob(pattern):
        assert (prefix / 'share' / NAME / folder / path.name).read_bytes() == path.read_bytes()


def test_install_has_the_marker_and_the_scripts(prefix: Path) -> None:
    assert (prefix / 'share/ament_index/resource_index/packages' / NAME).is_file()
    for script in ('demo', NAME, 'smooth', 'smoother_node', 'train'):
        assert os.access(prefix / 'lib' / NAME / script, os.X_OK)


def test_install_has_every_module_and_its_data(prefix: Path) -> None:
    sites = list(prefix.glob(f'**/{NAME}/__init__.py'))
    assert len(sites) == 1
    for path in (path for kind in ('py', 'safetensors', 'css', 'js')
                 for path in (ROOT / NAME).rglob(f'*.{kind}')):
        copy = sites[0].parent / path.relative_to(ROOT / NAME)
        assert copy.read_bytes() == path.read_bytes()


def test_installed_command_line_answers(prefix: Path, tmp_path: Path) -> None:
    done = subprocess.run([prefix / 'lib' / NAME / NAME, '--version'], cwd=tmp_path, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, liquid_ros.__version__), done.stderr


@pytest.mark.parametrize('path', sorted((ROOT / 'requirements').glob('*.txt')),
                         ids=lambda path: path.name)
def test_requirements_are_pinned(path: Path) -> None:
    for line in path.read_text(encoding='utf-8').splitlines():
        assert not line or line.startswith('#') or re.match(r'[\w.\[\]-]+==[\w.]+(;|$)', line)


@pytest.mark.filterwarnings('ignore')  # of pyparsing, inside catkin_pkg
def test_catkin_pkg_accepts_the_manifest() -> None:
    module = pytest.importorskip('catkin_pkg.package')
    warnings: List[str] = []
    package = module.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    package.evaluate_conditions({})
    assert not warnings
    assert not any(found.name == 'python3-torch' and found.evaluated_condition
                   for found in package.exec_depends)


def test_a_step_that_is_not_new_is_not_compiled_again(tmp_path):
    """Compiled source by source; a second build finds nothing to do, a third what is new."""
    pytest.importorskip('setuptools')
    log, compiler = tmp_path / 'log', tmp_path / 'compiler'
    compiler.write_text(f'#!{sys.executable}\nimport sys\n'
                        'made = sys.argv[sys.argv.index("-o") + 1]\n'
                        'open(made, "w").close()\n'
                        f'open({str(log)!r}, "a").write(made + "\\n")\n')
    compiler.chmod(0o755)
    env = {**os.environ, 'CC': str(compiler), 'LDSHARED': str(compiler)}

    def made():
        """Return the names of what a build writes."""
        log.write_text('')
        subprocess.run([sys.executable, 'setup.py', '-q', 'build_ext', '--build-lib',
                        str(tmp_path / 'lib'), '--build-temp', str(tmp_path / 'temp')],
                       cwd=ROOT, env=env, check=True)
        return sorted(Path(line).name.split('.')[0] for line in log.read_text().splitlines())
    first = made()
    assert {'_step', 'step_3', 'step_7', 'lanes_7_smoothing', 'predict', 'recipe'} < set(first)
    assert made() == []
    (tmp_path / 'temp' / 'step_3.c').write_text('another')
    assert made() == ['_step', 'step_3']
