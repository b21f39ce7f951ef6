# Thin on purpose: setup/setup installs, meson builds, tests/run tests. `make run` is the first thing to try.
BUILD ?= build
# Warnings are errors where nobody is there to read them.
WERROR := $(if $(CI),true,false)

.PHONY: all run check bench bench-allocation bench-scheduling format lint fuzz install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

run: setup-run all
	@$(BUILD)/polder run tiny -- uname -a

check: setup-run setup-check all
	@tests/run $(BUILD)

bench: setup-run setup-bench all
	@bench/run $(BUILD)

# Allocation's figures beside their goals; SECTIONS="speed packing" selects.
bench-allocation: setup-run setup-bench all
	@bench/allocation $(BUILD)

# Scheduling's likewise; BENCH_STRATEGIES="eevdf stride" chooses.
bench-scheduling: setup-run setup-bench all
	@bench/scheduling $(BUILD)

format: setup-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint: setup-run setup-lint all
	@setup/lint $(BUILD)

# A minute of libFuzzer on each parser (FUZZ_SECONDS=600 for more); `make check` replays the corpora without it.
fuzz: setup-run setup-lint
	@tests/fuzz/run $(BUILD)-fuzz

install: all
	@meson install -C $(BUILD) --quiet

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz

setup-%:
	@setup/setup $*

$(BUILD)/build.ninja:
	@setup/setup run
	@meson setup $(BUILD) -Dwerror=$(WERROR) >$(BUILD)-setup.log 2>&1 || { cat $(BUILD)-setup.log; exit 1; }
	@mv $(BUILD)-setup.log $(BUILD)/setup.log
