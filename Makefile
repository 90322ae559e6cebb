# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

# Needs: Debian or Ubuntu with make and Python 3.10-3.14 (python3-venv). All else comes by pip
# into .venv. Where a ROS 2 environment is sourced, that one is used instead of the wheels.

SHELL := bash
.SHELLFLAGS := -eo pipefail -c
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help

# The first Python that can run this.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
    $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' \
    2>/dev/null && echo $$python && break; done)
endif
export PYTHON

# ros: a sourced ROS 2 whose rclpy this Python can import; wheels: all other machines.
MODE := $(if $(and $(ROS_DISTRO),$(AMENT_PREFIX_PATH)),$(shell \
    $(PYTHON) -c 'import rclpy' 2>/dev/null && echo ros || echo wheels),wheels)
WHEELS := kilted
VENV := .venv
BASE :=

# A stamp a stage: a second run installs nothing.
BUILD := $(BASE)build
INSTALL := $(BASE)install
RUN_STAMP := $(VENV)/.run-$(MODE)
TEST_STAMP := $(VENV)/.test-$(MODE)
LINT_STAMP := $(VENV)/.lint-$(MODE)
BUILD_STAMP := $(INSTALL)/.built
STEP_STAMP := $(BUILD)/.step
SOURCES := $(shell find liquid_ros launch config layouts rviz resource -type f -not -name '*.pyc' \
    -not -name '_step*' 2>/dev/null) setup.py setup.cfg package.xml

RUN_FILES := requirements/build.txt requirements/run.txt
ifeq ($(MODE),wheels)
RUN_FILES += requirements/numpy.txt requirements/ros-$(WHEELS).txt
PREFIXES := $(abspath $(VENV))
TORCH := -r requirements/torch.txt
# What a ROS 2 or a workspace sourced earlier would mix in.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH RMW_IMPLEMENTATION
ifdef ROS_DISTRO
unexport LD_LIBRARY_PATH
ifeq ($(WHEELS),kilted)
$(info note: ROS 2 $(ROS_DISTRO) is sourced, but $(PYTHON) cannot import its rclpy: using wheels)
endif
endif
unexport ROS_DISTRO
else
PREFIXES := $(AMENT_PREFIX_PATH)
TORCH :=
# Before Iron there is no discovery range.
ifeq ($(ROS_DISTRO),humble)
export ROS_LOCALHOST_ONLY := 1
endif
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX VIRTUAL_ENV

# Torch is only for training and its tests: TORCH= leaves it out, and those tests skip.
TORCH_STAMP := $(if $(strip $(TORCH)),$(VENV)/.torch-$(shell \
    cksum <<<'$(TORCH)' | cut -d' ' -f1))

# Nodes of this run talk to one another only.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export ROS_DOMAIN_ID := $(shell echo $$(($$$$ % 102)))

ENTER = source $(INSTALL)/setup.bash && export PATH="$(abspath $(VENV))/bin:$$PATH" &&
say = @printf '== %s\n'

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    expand -t 20
	@echo '  PYTHON=python3.12   the Python to use; TORCH= tests without torch'

demo: $(BUILD_STAMP)  ## replay a noisy bag through the node; DATA=file.npz RATE=4
	$(say) 'demo: a bag is replayed into the installed node (ROS_DOMAIN_ID $(ROS_DOMAIN_ID))'
	@$(ENTER) $(INSTALL)/liquid_ros/lib/liquid_ros/liquid_ros demo \
	    $${DATA:+--data "$$DATA"} $${RATE:+--rate "$$RATE"}

evaluate: $(BUILD_STAMP)  ## say whether smoothing helps; BAG=my_bag TRUTH=/truth REPORT=report.html
	@test -n "$$BAG" || { echo 'make evaluate: got no BAG, expected BAG=my_bag' >&2; exit 2; }
	@$(ENTER) $(INSTALL)/liquid_ros/lib/liquid_ros/liquid_ros evaluate "$$BAG" \
	    $${TRUTH:+--truth "$$TRUTH"} $${REPORT:+--report "$$REPORT"}
export DATA RATE BAG TRUTH REPORT

# Running nodes have the cores for themselves; all else is shared out to as many processes as cores.
LIVE := test/test_node*.py test/test_demo.py test/test_launch.py
UNLESS_NONE := || [ $$? = 5 ]  # of what PYTEST_ARGS chooses there may be none in one of the two

READY := $(BUILD_STAMP) $(STEP_STAMP) $(TEST_STAMP) $(LINT_STAMP) $(TORCH_STAMP)

test: $(READY)  ## the tests and linters
	$(say) 'test: the tests and linters'
	@$(ENTER) python -m pytest -q -rs -m 'not long' -n auto --maxprocesses 8 --dist loadfile \
	    $(LIVE:%=--ignore-glob='%') $(PYTEST_ARGS) $(UNLESS_NONE)
	@$(ENTER) python -m pytest -q -rs -m 'not long' $(PYTEST_ARGS) $(LIVE) $(UNLESS_NONE)

test-long: $(READY)  ## the tests that take longest
	$(say) 'test: the ones that take longest'
	@$(ENTER) python -m pytest -q -rs -m long $(PYTEST_ARGS)

test-jazzy:  ## the node tests against the wheels of ROS 2 Jazzy
	@$(MAKE) test-nodes MODE=wheels WHEELS=jazzy VENV=.venv-jazzy BASE=.venv-jazzy/

test-nodes: $(BUILD_STAMP) $(STEP_STAMP) $(TEST_STAMP)
	$(say) 'test: the node against ROS 2 $(if $(filter ros,$(MODE)),$(ROS_DISTRO),$(WHEELS))'
	@$(ENTER) python -m pytest -q -rs $(PYTEST_ARGS) test/test_node*.py

lint: $(RUN_STAMP) $(TEST_STAMP) $(LINT_STAMP)  ## ruff and mypy
	$(say) 'lint: ruff and mypy'
	@$(VENV)/bin/python -m pytest -q test/test_lint.py

build: $(BUILD_STAMP)  ## build the package with colcon into install/

clean:  ## remove all that the other targets made
	rm -rf .venv .venv-jazzy build install log demo liquid_ros/_step* .pytest_cache .mypy_cache .ruff_cache \
	    .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): $(RUN_FILES)
	$(say) 'set-up: ROS 2 $(if $(filter ros,$(MODE)),$(ROS_DISTRO) as sourced,$(WHEELS) as \
	wheels), colcon and what the package needs'
	@tools/environment.sh $(VENV) $(MODE) $(RUN_FILES:%=-r %) -c requirements/test.txt
	@touch $@

$(TEST_STAMP): requirements/test.txt $(RUN_STAMP)
	$(say) 'set-up: pytest, its processes and hypothesis'
	@tools/environment.sh $(VENV) $(MODE) -r $<
	@touch $@

$(LINT_STAMP): requirements/lint.txt $(RUN_STAMP)
	$(say) 'set-up: ruff and mypy'
	@tools/environment.sh $(VENV) $(MODE) -r $<
	@touch $@

$(TORCH_STAMP): requirements/torch.txt $(RUN_STAMP)
	$(say) 'set-up: torch, for the tests of the training only (make test TORCH= does without)'
	@tools/environment.sh $(VENV) $(MODE) $(TORCH)
	@touch $@

# The tests import the sources as they stand here: with the compiled step beside them.
$(STEP_STAMP): $(RUN_STAMP) $(SOURCES)
	$(say) 'build: the compiled step, for the tests'
	@$(VENV)/bin/python setup.py -q build_ext --inplace --build-temp $(BUILD)/step
	@mkdir -p $(BUILD) && touch $@

# Made anew, so that nothing of an older version stays.
$(BUILD_STAMP): $(RUN_STAMP) $(SOURCES)
	$(say) 'build: colcon, into $(INSTALL)/'
	@rm -rf $(BUILD)/liquid_ros $(INSTALL)/liquid_ros
	@PATH="$(abspath $(VENV))/bin:$$PATH" AMENT_PREFIX_PATH='$(PREFIXES)' \
	    PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE= colcon --log-base $(BASE)log build --paths . --packages-select liquid_ros \
	    --build-base $(BUILD) --install-base $(INSTALL) \
	    --event-handlers console_start_end-
	@touch $@

.PHONY: help demo evaluate test test-long test-jazzy test-nodes lint build clean
