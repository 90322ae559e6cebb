# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Install the package the ament_python way."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from glob import glob
import os
from pathlib import Path
import platform
import sys

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

NAME = 'liquid_ros'
FLAGS = ['-O2', '-ftree-vectorize', '-fopenmp-simd', '-ffp-contract=off', '-fno-math-errno',
         '-fno-trapping-math', '-g0', '-w']


def has_vector_functions():
    """Return whether the C library has exp, tanh and the like of many numbers at once."""
    name, version = platform.libc_ver()
    return (platform.machine() == 'x86_64' and name == 'glibc'
            and tuple(int(part) for part in version.split('.')[:2]) >= (2, 35))


class BuildStep(build_ext):
    """Compile the smoother's step; without a compiler, or NumPy, the package goes without."""

    def build_extension(self, ext):
        """Write the sources out of the step itself, then compile those that are new."""
        root = os.path.dirname(os.path.abspath(__file__))
        try:
            sys.path.insert(0, root)
            from liquid_ros.backend import NumpyBackend
            from liquid_ros.checkpoint import load, SHIPPED
            from liquid_ros.fusing.source import sources
            if has_vector_functions():
                ext.extra_compile_args = [*FLAGS, '-DLIBMVEC']
                ext.libraries = ['mvec', 'm']
            smoother = load('liquid', SHIPPED, NumpyBackend())
            texts = sources(smoother.config, smoother.weights)
            made_by = self.compiler.compiler_so, ext.extra_compile_args
            ext.sources = [self.write(name, f'/* {made_by} */\n{text}')
                           for name, text in texts.items()]
            self.compiler.compile = partial(self.compile, self.compiler.compile)
            super().build_extension(ext)
        except Exception as error:  # whatever it is, the plain step does the same
            print(f'liquid_ros: the step is not compiled, it will be slower: {error!r}')
        finally:
            sys.path.remove(root)

    def write(self, name, text):
        """Return the path of a source, which is left alone where it is this one already."""
        path = Path(self.build_temp) / f'{name}.c'
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8')
        return str(path)

    def compile(self, usual, paths, output_dir, **given):
        """Return the objects of sources, on all cores; usual: the compiler's own method."""
        def made(path):
            found = f'{os.path.splitext(path)[0]}.o'
            fresh = os.path.exists(found) and os.path.getmtime(found) > os.path.getmtime(path)
            if self.force or not fresh:  # whole, or not there
                os.replace(*usual([path], output_dir=output_dir, **given), found)
            return found
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None
        with ThreadPoolExecutor(self.parallel or cores) as pool:
            return list(pool.map(made, paths))


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    ext_modules=[Extension(f'{NAME}._step', [], extra_compile_args=FLAGS, libraries=['m'],
                           optional=True)],
    cmdclass={'build_ext': BuildStep},
    package_data={NAME: ['weights/*.safetensors', 'evaluation/*.css', 'evaluation/*.js']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', sorted(glob('launch/*.py'))),
        (f'share/{NAME}/config', sorted(glob('config/*.yaml'))),
        (f'share/{NAME}/config/presets', sorted(glob('config/presets/*.yaml'))),
        (f'share/{NAME}/layouts', sorted(glob('layouts/*.xml'))),
        *((f'share/{NAME}/rviz', [path]) for path in sorted(glob('rviz/*.rviz'))),
    ],
    python_requires='>=3.10',
    install_requires=['numpy>=1.21', 'setuptools'],
    extras_require={
        'cuda': ['cuda-bindings', 'torch'],
        'tools': ['matplotlib', 'pyyaml', 'rosbags', 'tqdm'],
        'family': ['ncps'],
        'train': ['matplotlib', 'pyyaml', 'rosbags', 'safetensors', 'torch', 'tqdm'],
        'test': ['hypothesis', 'mypy', 'pytest', 'ruff', 'safetensors'],
    },
    zip_safe=False,
    author='the liquid_ros authors',
    author_email='liquid_ros@example.org',
    maintainer='the liquid_ros authors',
    maintainer_email='liquid_ros@example.org',
    description='Smooth noisy pose and point topics with a liquid neural cell.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'smoother_node = liquid_ros.ros.main:main',
            'liquid_ros = liquid_ros.__main__:main',
            'evaluate = liquid_ros.cli.evaluate:main',
            'smooth = liquid_ros.cli.smooth:main',
            'demo = liquid_ros.cli.demo:main',
            'circuit = liquid_ros.cli.circuit:main',
            'train = liquid_ros.cli.train:main',
        ],
    },
)
