# make help

OBJS ?= $(if $(SANITIZE),objs/asan,objs)
PROVE = prove
FUZZ_CC = clang
FUZZ_SECONDS = 20
MINUTES = 30
BENCH =
NGINX = nginx

CORE = $(wildcard src/core/*/*.c)
UNITS = $(patsubst t/unit/%.c,%,$(wildcard t/unit/*/*_test.c))
FUZZERS = $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/fuzz_*.c))
MODULES = ngx_trp_relay_module ngx_trp_entry_module ngx_trp_reverse_module
MODULES += ngx_http_trp_status_module

C_FLAGS = -std=c99 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -g
C_FLAGS += -Isrc/core -It/unit -MMD -MP -DTRP_DEBUG
ASAN_FLAGS = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_FLAGS += -fno-omit-frame-pointer
LIBS = -lsodium -lcrypto

Q = $(if $(V),,@)

export CC CFLAGS LDFLAGS NGINX_SRC STATIC SANITIZE V


all:
	@scripts/build.sh

help:
	@echo 'make              build the modules into objs/'
	@echo 'make install      install them, honours DESTDIR'
	@echo 'make check        mechanical rules for the sources'
	@echo 'make unit         unit tests of src/core'
	@echo 'make unit-asan    the same with sanitizers'
	@echo 'make replay       the inputs of t/fuzz/corpus, with sanitizers'
	@echo 'make fuzz         libFuzzer, FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make fuzz-quic    a server and a client of QUIC, one malicious'
	@echo 'make test         everything that the tests need, then all of them'
	@echo 'make test-asan    the same with sanitizers'
	@echo 'make demo         a tunnel on this machine, to look at'
	@echo 'make bench        speed, as ratios to others; BENCH=--quick'
	@echo 'make bench-turn   the TURN server, against coturn'
	@echo 'make bench-quic   tunnels on QUIC, against those on TLS over TCP'
	@echo 'make bench-socks  SOCKS5, against microsocks, dante, stock nginx'
	@echo 'make bench-udp    routes of UDP, against stock nginx'
	@echo 'make bench-status readers of the status of 10,000 agents'
	@echo 'make soak         mixed load with reloads, MINUTES=$(MINUTES)'
	@echo 'make clean'
	@echo
	@echo 'Variables: CC CFLAGS LDFLAGS V=1 SANITIZE=1 OBJS=dir,'
	@echo 'NGINX_SRC=nginx source tree (default: nginx-dev), STATIC=1'

check:
	@scripts/check

test:
	@t/run.sh

test-asan:
	@ASAN=1 t/run.sh

demo:
	@sh examples/demo.sh

bench:
	@bench/run $(BENCH)

bench-turn:
	@bench/turn

bench-quic:
	@bench/quic

bench-socks:
	@bench/socks

bench-udp:
	@bench/udp

bench-status:
	@bench/status

soak: all
	@bench/soak $(MINUTES)


# unit tests: each *_test.c of t/unit with the whole core, and with what the
# tests of its room share

UNIT_BINARIES = $(UNITS:%=objs/unit/%)
ASAN_BINARIES = $(UNITS:%=objs/unit-asan/%)
UNIT_CORE = $(CORE:src/core/%.c=objs/unit/core/%.o)
ASAN_CORE = $(CORE:src/core/%.c=objs/unit-asan/core/%.o)

unit: $(UNIT_BINARIES)
	@$(PROVE) -e '' $(or $(UNIT_BINARIES),$(error no unit tests))

unit-asan: $(ASAN_BINARIES)
	@$(PROVE) -e '' $(or $(ASAN_BINARIES),$(error no unit tests))

objs/unit/%_test: t/unit/%_test.c $(UNIT_CORE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) -O1 $(CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIBS)

objs/unit-asan/%_test: t/unit/%_test.c $(ASAN_CORE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) $(ASAN_FLAGS) $(CFLAGS) -o $@ \
		$(filter %.c %.o,$^) $(LIBS)

TURN = turn/world turn/client
TURNC = $(TURN) turnc/agent

$(filter objs/unit/turn/%,$(UNIT_BINARIES)): $(TURN:%=objs/unit/%.o)
$(filter objs/unit/turnc/%,$(UNIT_BINARIES)): $(TURNC:%=objs/unit/%.o)
$(filter objs/unit-asan/turn/%,$(ASAN_BINARIES)): $(TURN:%=objs/unit-asan/%.o)
$(filter objs/unit-asan/turnc/%,$(ASAN_BINARIES)): $(TURNC:%=objs/unit-asan/%.o)

objs/unit/%.o: t/unit/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) -O1 $(CFLAGS) -c -o $@ $<

objs/unit-asan/%.o: t/unit/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) $(ASAN_FLAGS) $(CFLAGS) -c -o $@ $<

objs/unit/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) -O1 $(CFLAGS) -c -o $@ $<

objs/unit-asan/core/%.o: src/core/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) $(ASAN_FLAGS) $(CFLAGS) -c -o $@ $<

.SECONDARY: $(UNIT_CORE) $(ASAN_CORE)


# the QUIC engine, client and server, in memory: for t/quic/engine.t, with the
# headers of nginx and what its configure has found

NGINX_HEADERS = $(or $(NGINX_SRC),/usr/share/nginx/src)
QUIC_FLAGS = -std=gnu99 -Wall -Werror -g $(ASAN_FLAGS) -Isrc/core -Isrc/ngx
QUIC_FLAGS += -It/unit -It/quic/engine -I$(OBJS) $(addprefix \
	-I$(NGINX_HEADERS)/src/,core event event/modules event/quic os/unix \
	http http/modules http/v2 http/v3 stream)
QUIC_ENGINE = $(filter-out %_clock.c,$(wildcard src/ngx/quic/*.c))
QUIC_WORLD = t/quic/engine/world.c t/quic/engine/stubs.c

$(OBJS)/quic/engine_test: t/quic/engine/engine_test.c $(QUIC_WORLD) \
		$(QUIC_ENGINE) $(wildcard src/ngx/quic/*.h t/quic/engine/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(QUIC_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^) \
		-lngtcp2 -lssl -lcrypto

fuzz-quic: $(OBJS)/quic/fuzz_quic
	@mkdir -p $(OBJS)/quic/corpus
	$(OBJS)/quic/fuzz_quic -max_total_time=$(FUZZ_SECONDS) \
		-len_control=0 -artifact_prefix=$(OBJS)/quic/ $(OBJS)/quic/corpus

$(OBJS)/quic/fuzz_quic: t/quic/engine/fuzz_quic.c $(QUIC_WORLD) \
		$(QUIC_ENGINE) $(wildcard src/ngx/quic/*.h t/quic/engine/*.h)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(QUIC_FLAGS) -fsanitize=fuzzer -o $@ \
		$(filter %.c,$^) -Wl,--wrap=EVP_EncryptUpdate \
		-lngtcp2 -lssl -lcrypto


# fuzzing: new inputs go to objs/fuzz, those worth keeping to t/fuzz/corpus

REPLAYS = $(FUZZERS:fuzz_%=objs/replay/%)

replay: $(REPLAYS)
	@for bin in $(REPLAYS); do \
		name=$${bin##*/}; \
		if $$bin t/fuzz/corpus/$$name/* > $$bin.log 2>&1; \
		then echo "replay $$name: $$(grep -c ^ok $$bin.log) ok"; \
		else tail -n 40 $$bin.log; echo "replay $$name: failed"; \
		exit 1; fi; \
	done

objs/replay/turn: $(TURN:%=objs/unit-asan/%.o)
objs/replay/turnc: $(TURNC:%=objs/unit-asan/%.o)

objs/replay/%: t/fuzz/fuzz_%.c t/fuzz/replay.c $(ASAN_CORE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) $(ASAN_FLAGS) $(CFLAGS) -o $@ \
		$(filter %.c %.o,$^) $(LIBS)

fuzz: $(FUZZERS:%=objs/fuzz/%)
	@for name in $(FUZZERS:fuzz_%=%); do \
		dir=objs/fuzz/corpus/$$name; log=objs/fuzz/$$name.log; \
		mkdir -p $$dir t/fuzz/corpus/$$name; \
		if objs/fuzz/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=objs/fuzz/$$name- \
			$$dir t/fuzz/corpus/$$name > $$log 2>&1; \
		then echo "fuzz $$name: $$(tail -n 1 $$log)"; \
		else tail -n 40 $$log; echo "fuzz $$name: failed"; exit 1; fi; \
	done

objs/fuzz/fuzz_turn: $(TURN:%=t/unit/%.c)
objs/fuzz/fuzz_turnc: $(TURNC:%=t/unit/%.c)

objs/fuzz/fuzz_%: t/fuzz/fuzz_%.c $(CORE) $(wildcard src/core/*/*.h)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -std=c99 -D_DEFAULT_SOURCE -Wall -Wextra -g -O1 \
		-Isrc/core -It/unit -DTRP_DEBUG \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(LIBS)


# Debian keeps a file with load_module for each group of modules.  Its nginx and
# its stream module may be installed later than these.

AVAILABLE = /usr/share/nginx/modules-available
ENABLED = /etc/nginx/modules-enabled
MODULES_PATH = $(or $(shell $(NGINX) -V 2>&1 $(path_of_modules)),$(shell \
	cat /usr/share/nginx/src/conf_flags 2>/dev/null $(path_of_modules)))

path_of_modules = | sed -n "s/.*--modules-path=\([^ ']*\).*/\1/p"

install: all
	@[ -n "$(MODULES_PATH)" ] \
		|| { echo 'no modules path in nginx -V, set MODULES_PATH'; exit 1; }
	install -d $(DESTDIR)$(MODULES_PATH)
	install -m 644 $(MODULES:%=$(OBJS)/%.so) \
		$(DESTDIR)$(MODULES_PATH)
	@if [ -e /etc/debian_version ]; then \
		conf=$(DESTDIR)$(AVAILABLE)/mod-stream-trp.conf; \
		install -d $(DESTDIR)$(AVAILABLE); \
		for name in $(MODULES); do \
			echo "load_module modules/$$name.so;"; \
		done > $$conf; \
		chmod 644 $$conf; \
		echo "installed $$conf, to enable:"; \
		echo "ln -s $(AVAILABLE)/mod-stream-trp.conf" \
			"$(ENABLED)/70-mod-stream-trp.conf"; \
		[ -e $(AVAILABLE)/mod-stream.conf ] \
			|| echo "they need nginx's stream module:" \
				"scripts/packages run"; \
	fi

clean:
	rm -rf objs


.PHONY: all help check unit unit-asan replay fuzz fuzz-quic test test-asan demo
.PHONY: bench bench-turn bench-quic bench-socks bench-udp bench-status soak
.PHONY: install clean

-include $(wildcard objs/unit/*/*.d objs/unit/core/*/*.d objs/replay/*.d)
-include $(wildcard objs/unit-asan/*/*.d objs/unit-asan/core/*/*.d)
