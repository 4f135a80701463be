# geocache. `make run` starts a server, `make test` tests everything; both need
# Go, make, gcc and git only.

GO          ?= go
PORT        ?= 6379
DATA        ?= ./data
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME    ?= 3s
# Results of the test steps, one line each: passed and failed.
COUNTS      := bin/test-counts

.PHONY: help build run test race lint fuzz sim conformance compat demo bench bench-growth profile bench-memory hitratio clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/geocache
	$(GO) build -o bin/geocache ./cmd/geocache

run: build ## start a server on 127.0.0.1:6379 with its data in ./data
	@mkdir -p $(DATA)
	./bin/geocache server redis.conf.example --bind 127.0.0.1 --port $(PORT) --dir $(DATA)

test: ## test everything, with the race detector, and smoke all fuzz targets
	@mkdir -p bin
	@rm -f $(COUNTS)
	@command -v redis-server >/dev/null || echo "SKIP: redis-server is not installed; nothing is compared with it"
	@status=0; \
	$(MAKE) --no-print-directory fuzz || status=1; \
	$(MAKE) --no-print-directory race || status=1; \
	exit $$status

race: # all tests with the race detector; the last line has the counts
	@mkdir -p bin
	@$(GO) test -race -timeout 20m -json ./... 2>&1 | $(GO) run ./tests/summary -counts $(COUNTS)

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	@if $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; then \
		echo "$(GO) run $(STATICCHECK) ./..."; $(GO) run $(STATICCHECK) ./...; \
	else echo "SKIP: staticcheck cannot be had"; fi

fuzz: ## each fuzz target for FUZZTIME (3s)
	@./tests/fuzz.sh $(FUZZTIME)

sim: ## the deterministic simulation; SEED=n replays one seed
	SIM_SEED=$(SEED) $(GO) test -count=1 -v -run '^TestSim' ./tests/sim

conformance: ## the conformance scripts, also against REDIS=host:port, which is flushed
	TEST_REDIS=$(REDIS) $(GO) test -count=1 -v -run '^TestConformance' ./tests

compat: build ## Redis' own test suite against this server; UNITS="unit/type/string ...", SLOW=1, REDIS_SRC=dir
	@rm -f bin/compat-counts
	@$(GO) run ./tests/compat -counts bin/compat-counts -units "$(UNITS)" $(if $(SLOW),-slow)

demo: ## two regions on this machine, start to finish
	$(GO) run ./cmd/demo

bench: ## redis-benchmark beside a redis-server on this machine, as ratios
	TEST_BENCH=1 $(GO) test -count=1 -v -timeout 30m -run '^TestSpeed$$' ./tests

bench-growth: ## what commands cost in collections of 1000 up to MEMBERS= members, beside a redis-server
	MEMBERS=$(MEMBERS) TEST_BENCH=1 $(GO) test -count=1 -v -timeout 30m -run '^TestGrowth$$' ./tests

hitratio: ## hit ratios of TRACES=dir: package lru alone, then beside a redis-server
	TEST_TRACES=$(abspath $(TRACES)) $(GO) test -count=1 -v -run '^TestTraces$$' ./lru
	TEST_TRACES=$(abspath $(TRACES)) $(GO) test -count=1 -v -timeout 30m -run '^TestHitRatio$$' ./tests

profile: ## measure anew what the compiler optimises by: cmd/geocache/default.pgo
	$(GO) test -trimpath -run '^$$' -bench '^BenchmarkPipeline$$' -benchtime 1s \
		-cpuprofile $(CURDIR)/cmd/geocache/default.pgo -o bin/node.test ./node

bench-memory: ## memory and pauses beside a redis-server; KEYS=, HASHES=, MEMBERS=, FILL=, EXPIRE=, ELEMENTS= set the sizes, PARTS= the parts
	KEYS=$(KEYS) HASHES=$(HASHES) MEMBERS=$(MEMBERS) FILL=$(FILL) EXPIRE=$(EXPIRE) ELEMENTS=$(ELEMENTS) PARTS="$(PARTS)" \
		TEST_MEMORY=1 $(GO) test -count=1 -v -timeout 60m -run '^TestMemory$$' ./tests

clean: ## remove what was built; data stays
	rm -rf bin
