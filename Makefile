# SPDX-License-Identifier: Apache-2.0
# The commands of the README; meson.build is the real build.
BUILD  = build
PREFIX = /usr/local

all:
	@tools/setup
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log
	@ninja -C $(BUILD) --quiet octet

demo: all
	@$(BUILD)/octet demo -f -o $(BUILD)/demo

test: all
	@ninja -C $(BUILD) --quiet
	@tools/test $(BUILD)

bench: all
	@ninja -C $(BUILD) --quiet
	@bench/setup train
	@bench/run $(BUILD)

install: all
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@ninja -C $(BUILD) --quiet
	@meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)

.PHONY: all demo test bench install clean
