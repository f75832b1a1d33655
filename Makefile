# maxlinear. `make demo` and `make test` do their whole set-up; a second run starts in seconds.

PYTHON ?= python3
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
FUZZ_EXECUTIONS ?= -1
FUZZ_SEED ?= 0
LIBDIR ?= lib
BUILD := build
VENV := $(BUILD)/venv
LIBRARY := $(BUILD)/lib/libmaxlinear.so
COMMAND := $(BUILD)/release/release/maxlinear-cli
# Folders too: a file that went away leaves its mark there.
SWIFT_SOURCES := $(shell find Sources include abi/libmaxlinear.map Package.swift)
# Asked of git where it is used, as there may be no git.
CLANG_FORMAT_FILES = $(shell git ls-files '*.c' '*.h' '*.cpp' '*.hpp' ':!Tests/CTests/abi-v*')

export MAXLINEAR_LIBRARY := $(abspath $(LIBRARY))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DELETE_ON_ERROR:
.PHONY: help demo test test-swift test-emulated test-python test-sdist test-sanitizers test-address test-undefined test-thread test-memcheck fuzz lib install uninstall wheel sdist bench docs lint format manual abi abi-fixture clean

help:
	@echo "make demo     a trained encoder in every encoding, and one MLP from four languages; MODEL=file.gguf for your own"
	@echo "make test     all tests"
	@echo "make test-sanitizers  tests under the address, undefined behaviour and thread sanitizers and valgrind; make test-address, -undefined, -thread, -memcheck"
	@echo "make lib      $(LIBRARY)"
	@echo "make install  headers, library, command, manual page, pkg-config and CMake files below PREFIX (/usr/local); DESTDIR to stage; make uninstall"
	@echo "make wheel    a Python wheel with all it needs in build/wheel; make sdist"
	@echo "make bench    the speed table beside its peers; BENCH=--quick for a look, BENCH='--encodings Q4_K --m 1,32' for some of it"
	@echo "make docs     the pages and the references of C, Python and Swift as a site in build/docs"
	@echo "make fuzz     every fuzzer for FUZZ_SECONDS (60) or FUZZ_EXECUTIONS (-1: no limit); FUZZERS='gguf state' for some of them, FUZZ_SEED=1 for the same inputs again"
	@echo "make lint     formats, types and house rules"
	@echo "make format   apply the formats"
	@echo "make manual   rewrite the command's manual page, docs/maxlinear.1"
	@echo "make abi      rewrite the ABI snapshots in abi/"
	@echo "make abi-fixture  keep this version's client and headers, before its release"
	@echo "make clean    remove build products"

demo: $(LIBRARY) $(VENV)/demo.stamp $(BUILD)/compilers.stamp
	$(VENV)/bin/python examples/python/minilm
	$(VENV)/bin/python examples/python/same_bits $(if $(MODEL),--model "$(MODEL)") $(if $(LAYER),--layer $(LAYER))

test: test-swift test-emulated test-python

test-swift: $(BUILD)/system.stamp
	scripts/swift $(BUILD)/test test

test-emulated: $(BUILD)/system.stamp
	scripts/test-emulated $(if $(EMULATE),always)

test-python: $(LIBRARY) $(COMMAND) $(VENV)/demo.stamp $(VENV)/test.stamp $(VENV)/package.stamp $(VENV)/docs.stamp $(VENV)/lint.stamp \
		$(BUILD)/compilers.stamp $(BUILD)/mpi.stamp
	PYTHONPATH=bindings/python/src $(VENV)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not alone"
	PYTHONPATH=bindings/python/src $(VENV)/bin/python -m pytest -q -m alone

fuzz: $(BUILD)/system.stamp $(BUILD)/compilers.stamp
	PYTHON="$(PYTHON)" scripts/fuzz --seconds $(FUZZ_SECONDS) --executions $(FUZZ_EXECUTIONS) --seed $(FUZZ_SEED) $(FUZZERS)

test-sdist: $(VENV)/test.stamp $(VENV)/package.stamp
	MAXLINEAR_TEST_SDIST=1 $(VENV)/bin/python -m pytest -q Tests/PackageTests/test_sdist.py

test-sanitizers: test-undefined test-memcheck test-thread test-address

test-address test-undefined test-thread: $(BUILD)/system.stamp
	scripts/test-sanitizers $(@:test-%=%)

test-memcheck: $(LIBRARY) $(BUILD)/compilers.stamp
	scripts/test-sanitizers memcheck

lib: $(LIBRARY)

$(LIBRARY): $(SWIFT_SOURCES) $(BUILD)/system.stamp
	scripts/build-library $@

install: $(LIBRARY) $(COMMAND)
	PREFIX="$(PREFIX)" LIBDIR="$(LIBDIR)" DESTDIR="$(DESTDIR)" scripts/install-files $(LIBRARY) $(COMMAND)

uninstall:
	PREFIX="$(PREFIX)" LIBDIR="$(LIBDIR)" DESTDIR="$(DESTDIR)" scripts/install-files --uninstall

wheel: $(LIBRARY) $(VENV)/package.stamp
	scripts/build-wheel $(VENV)/bin/python $(BUILD)/wheel

sdist: $(VENV)/package.stamp
	$(VENV)/bin/python -m build --no-isolation --sdist --outdir $(BUILD)/wheel bindings/python

bench: $(COMMAND) $(VENV)/bench.stamp $(BUILD)/compilers.stamp
	PYTHON="$(PYTHON)" Benchmarks/setup
	$(VENV)/bin/python Benchmarks $(BENCH)

# Strict: what does not lead anywhere, and what is not documented, fails.
docs: $(LIBRARY) $(VENV)/demo.stamp $(VENV)/docs.stamp
	$(VENV)/bin/python -m sphinx -W --keep-going -q -d $(BUILD)/docs-pages docs $(BUILD)/docs
	scripts/build-swift-docs $(BUILD)/docs/swift

$(COMMAND): $(SWIFT_SOURCES) $(BUILD)/system.stamp
	scripts/swift $(BUILD)/release build -c release --static-swift-stdlib --product maxlinear-cli

lint: $(VENV)/lint.stamp
	swift format lint --strict --recursive Package.swift Sources Tests examples
	$(VENV)/bin/clang-format --dry-run -Werror $(CLANG_FORMAT_FILES)
	$(VENV)/bin/ruff check Benchmarks bindings/python docs examples/python Tests scripts
	$(VENV)/bin/ruff format --check Benchmarks bindings/python docs examples/python Tests scripts
	$(VENV)/bin/mypy --strict bindings/python/src
	$(VENV)/bin/python scripts/check_house.py

format: $(VENV)/lint.stamp
	swift format --in-place --recursive Package.swift Sources Tests examples
	$(VENV)/bin/clang-format -i $(CLANG_FORMAT_FILES)
	$(VENV)/bin/ruff format Benchmarks bindings/python docs examples/python Tests scripts

manual: $(COMMAND) $(VENV)/bin/python
	$(VENV)/bin/python scripts/make_manual.py $(COMMAND) > docs/maxlinear.1

abi: $(LIBRARY) $(VENV)/test.stamp
	$(VENV)/bin/python Tests/CTests/abi.py --write

# Only before a version is released: afterwards its fixture stays as it is.
abi-fixture: $(LIBRARY) $(BUILD)/compilers.stamp
	scripts/make-abi-fixture 0.1

clean:
	rm -rf $(BUILD) .build

# Set-up, each step once.

$(BUILD)/system.stamp: scripts/install-system
	scripts/install-system library
	@mkdir -p $(BUILD) && touch $@

$(BUILD)/compilers.stamp: scripts/install-system
	scripts/install-system compilers
	@mkdir -p $(BUILD) && touch $@

$(BUILD)/mpi.stamp: scripts/install-system
	scripts/install-system mpi
	@mkdir -p $(BUILD) && touch $@

$(VENV)/bin/python:
	PYTHON="$(PYTHON)" scripts/install-system venv
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/demo.stamp: examples/python/requirements.txt examples/python/requirements-no-deps.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r examples/python/requirements.txt
	$(VENV)/bin/pip install -q --no-deps -r examples/python/requirements-no-deps.txt
	@touch $@

$(VENV)/test.stamp: scripts/requirements-test.txt scripts/requirements-test-no-deps.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r $<
	$(VENV)/bin/pip install -q --no-deps -r scripts/requirements-test-no-deps.txt
	@touch $@

$(VENV)/package.stamp: scripts/requirements-package.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r $<
	$(VENV)/bin/pip download -q --only-binary :all: -d $(BUILD)/wheelhouse numpy
	@touch $@

$(VENV)/docs.stamp: scripts/requirements-docs.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r $<
	@touch $@

$(VENV)/bench.stamp: Benchmarks/requirements-plot.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r $<
	@touch $@

$(VENV)/lint.stamp: scripts/requirements-lint.txt $(VENV)/bin/python
	$(VENV)/bin/pip install -q -r $<
	@touch $@
