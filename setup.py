# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Install the package the ament_python way."""

from glob import glob

from setuptools import find_packages, setup

NAME = 'liquid_ros'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
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
        'tools': ['matplotlib', 'pyyaml', 'rosbags', 'tqdm'],
        'train': ['safetensors', 'torch', 'tqdm'],
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
            'train = liquid_ros.cli.train:main',
        ],
    },
)
