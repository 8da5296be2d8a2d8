# Everything that is done with this tree, from an empty machine to a trained model. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What `make train` trains on and where it puts things. TEXT: your own files or folders in place of Swift's interfaces:
# one path, blanks and all, or several, or a pattern.
TEXT ?=
NAME ?= $(if $(TEXT),$(or $(shell text='$(subst ','\'',$(TEXT))'; [[ -e $$text ]] || text=$${text%% *}; \
    basename -- "$$text" | sed 's/\(.\)\.[^.]*$$/\1/; s/[^[:alnum:]._-]/-/g; s/^[.-]*//'),text),swift)
TOKENS ?= corpus/$(NAME)-tokens
RUN ?= runs/$(NAME)
PROMPT ?= $(if $(TEXT),,public func)
export TEXT PROMPT

# The model and the run: small enough for a few minutes on two cores. Those of MODEL define what comes out.
MODEL := LAYERS HEADS WIDTH CONTEXT MICRO_BATCH GLOBAL_BATCH STEPS WARMUP LEARNING_RATE
RANKS ?= 2
VOCABULARY ?= 8192
LAYERS ?= 4
HEADS ?= 4
WIDTH ?= 256
CONTEXT ?= 256
MICRO_BATCH ?= 4
GLOBAL_BATCH ?= 8
STEPS ?= 2000
WARMUP ?= 100
LEARNING_RATE ?= 1e-3
STOP_AFTER ?= $(shell echo $$(($(STEPS) / 2)))
INTERVAL ?= 250

# Where `make install` puts things; DESTDIR goes before it, for who makes packages.
PREFIX ?= /usr/local
DESTDIR ?=
INSTALLED = "$(DESTDIR)$(PREFIX)"

# What the build is told (Package.swift): the CPU that it is for, and what `swiftlet --version` says of the tree.
export SWIFTLET_CPU ?= native
COMMIT = git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || true

PACKAGES := libopenmpi-dev openmpi-bin libdnnl-dev libssl-dev pkg-config
SWIFTLET := .build/release/swiftlet
# Tests link the Swift runtime dynamically (a toolchain has no static Testing), the product statically. One folder for
# both would recompile everything at each change between the two.
TEST_BUILD := --scratch-path .build/tests -c release

.PHONY: help setup build install uninstall docs corpus train test interop interop-packages mutants lint bench race clean clean-run shakespeare

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the system packages that are missing (Debian, Ubuntu); nothing when they are there
	@if ! command -v swift >/dev/null; then
	    echo "swift is not installed: get a toolchain, 6.3 or later, from https://www.swift.org/install/linux" >&2
	    exit 1
	fi
	if ! command -v apt-get >/dev/null; then
	    for need in "command -v mpirun" "pkg-config --exists ompi-c libcrypto"; do
	        $$need >/dev/null || { echo "'$$need' fails: install Open MPI, oneDNN, OpenSSL (with headers), pkg-config" >&2; exit 1; }
	    done
	    exit 0
	fi
	missing=()
	for package in $(PACKAGES); do
	    [[ $$(dpkg-query -W -f='$${Status}' "$$package" 2>/dev/null) == *" installed" ]] || missing+=("$$package")
	done
	(( $${#missing[@]} )) || exit 0
	echo "installing $${missing[*]}"
	sudo=$$([[ $$(id -u) == 0 ]] || echo sudo)
	$$sudo apt-get update -qq
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"

build: setup ## the release executable, .build/release/swiftlet, with the Swift runtime inside
	@SWIFTLET_COMMIT=$$($(COMMIT)) swift build -c release --static-swift-stdlib --product swiftlet

# The scripts know their executable by their place (launch/common.sh).
install: build ## executable, launch scripts, completions and manual pages below PREFIX (/usr/local); DESTDIR goes before it
	@mkdir -p $(INSTALLED)
	install -d $(INSTALLED)/{bin,libexec/swiftlet,share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}}
	install -m 755 $(SWIFTLET) $(INSTALLED)/bin/swiftlet
	install -m 755 launch/{local,hosts,slurm,restart,on-cores} $(INSTALLED)/libexec/swiftlet
	install -m 644 launch/{common,cores}.sh $(INSTALLED)/libexec/swiftlet
	for name in local hosts slurm restart; do ln -sfn ../libexec/swiftlet/$$name $(INSTALLED)/bin/swiftlet-$$name; done
	cd $(INSTALLED)
	bin/swiftlet --generate-completion-script bash >share/bash-completion/completions/swiftlet
	bin/swiftlet --generate-completion-script zsh >share/zsh/site-functions/_swiftlet
	bin/swiftlet --generate-completion-script fish >share/fish/vendor_completions.d/swiftlet.fish
	bin/swiftlet manual --output share/man/man1
	echo "installed in $$PWD: bin/swiftlet, bin/swiftlet-{local,hosts,slurm,restart}, completions, manual pages"

uninstall: ## remove what `make install` put below PREFIX
	@cd $(INSTALLED)
	rm -rf libexec/swiftlet
	rm -f bin/swiftlet{,-local,-hosts,-slurm,-restart} share/man/man1/swiftlet{,-*}.1
	rm -f share/bash-completion/completions/swiftlet share/zsh/site-functions/_swiftlet share/fish/vendor_completions.d/swiftlet.fish

LIBRARIES := SwiftletTokenizer SwiftletTraining

docs: setup ## the libraries' documentation, in .build/docs; a warning is an error
	@swift build -c release --static-swift-stdlib --target SwiftletTraining
	products=$$(swift build -c release --show-bin-path)
	for module in $(LIBRARIES); do
	    rm -rf .build/docs/$$module{,.symbols}
	    mkdir -p .build/docs/$$module.symbols
	    swift symbolgraph-extract -module-name $$module -minimum-access-level public -skip-synthesized-members \
	        -target "$$(swiftc -print-target-info | sed -n 's/.*"triple": *"\(.*\)",*/\1/p' | sed -n 1p)" \
	        -I "$$products/Modules" -I Sources/CLinux -I Sources/CLibcrypto -I Sources/COneDNN \
	        -I Sources/CInstructions -I .build/checkouts/swift-system/Sources/CSystem/include \
	        -Xcc "-fmodule-map-file=$$products/CMPI.build/module.modulemap" \
	        -output-dir .build/docs/$$module.symbols
	    docc convert Sources/$$module/$$module.docc --additional-symbol-graph-dir .build/docs/$$module.symbols \
	        --fallback-display-name $$module --fallback-bundle-identifier swiftlet.$$module --warnings-as-errors \
	        --output-path .build/docs/$$module
	done

corpus: corpus/swift/.complete ## about 4.5 MB of Swift, from the interface files that every toolchain carries

# One interface of each module: no private or package copies, no second architecture. Cut into documents of some 8 kB
# at the end of a declaration, so that validation text is a sample of everything and not one module.
corpus/swift/.complete:
	@resources=$$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": *"\(.*\)".*/\1/p')
	[[ -d $$resources ]] || { echo "swiftc -print-target-info names no runtimeResourcePath: '$$resources'" >&2; exit 1; }
	rm -rf $(@D) && mkdir -p $(@D)
	for module in "$$resources"/*/*.swiftmodule; do
	    interface=$$(find "$$module" -name '*.swiftinterface' ! -name '*.private.*' ! -name '*.package.*' | sort | sed -n 1p)
	    [[ -n $$interface ]] || continue
	    awk -v name="$(@D)/$$(basename "$$module" .swiftmodule)" '
	        /^\/\/ swift-/ { next }
	        !file || (size > 8000 && ended) { if (file) close(file); file = sprintf("%s-%04d.swift", name, ++n); size = 0 }
	        { print > file; size += length + 1; ended = /^}/ }' "$$interface"
	done
	echo "corpus: $$(cat $(@D)/*.swift | wc -c) bytes in $$(ls $(@D) | wc -l) documents"
	touch $@

TRAIN = launch/local -n $(RANKS) train --train-data "$(TOKENS)/train_*.bin" --val-data "$(TOKENS)/val_*.bin" \
    --layers $(LAYERS) --heads $(HEADS) --embedding-size $(WIDTH) --context-length $(CONTEXT) \
    --micro-batch $(MICRO_BATCH) --global-batch $(GLOBAL_BATCH)
SCHEDULE = --run-dir "$(RUN)" --steps $(STEPS) --warmup-steps $(WARMUP) --learning-rate $(LEARNING_RATE) \
    --log-interval 50 --eval-interval $(INTERVAL) --checkpoint-interval $(INTERVAL)
EVALUATE = $(SWIFTLET) evaluate --data "$(TOKENS)/val_*.bin" --checkpoint

# Each step that is done leaves a file in the run directory, and is not done again. Tokens and run remember what they
# were made with: another text or another setting neither shows nor continues them.
train: build $(if $(TEXT),,corpus/swift/.complete) ## train a small GPT on RANKS ranks, stop, resume, print perplexity and a sample; TEXT=path for your own text
	@trap 'exit 130' INT
	fail() { echo "make: $$1" >&2; exit 1; }
	is_there() { # FOLDER SETTINGS: whether it is there; ends where it was made with other settings
	    [[ -e $$1 ]] || return 1
	    [[ -f $$1/.made-with ]] || fail "$$1 is there, but not of 'make train': give another NAME"
	    local old new
	    old=$$(grep -vxFf - "$$1/.made-with" <<<"$$2" | paste -sd ' ') || true
	    new=$$(grep -vxFf "$$1/.made-with" <<<"$$2" | paste -sd ' ') || true
	    [[ -z $$old$$new ]] || fail "$$1 was made with $$old, now it is $$new: give another NAME ('make train NAME=$(NAME)-2 …'), or remove that one with 'make clean-run NAME=$(NAME)'"
	}
	keep() { "$${@:2}" >"$(RUN)/.part"; mv "$(RUN)/.part" "$(RUN)/.$$1"; } # FILE COMMAND...
	if [[ -z $$TEXT ]]; then paths=(corpus/swift); elif [[ -e $$TEXT ]]; then paths=("$$TEXT"); else paths=($$TEXT); fi
	for path in "$${paths[@]}"; do [[ -e $$path ]] || fail "TEXT: $$path is not there"; done
	readarray -t paths < <(realpath -- "$${paths[@]}")
	hash=$$(find -L "$${paths[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
	text=$$(printf '%s\n' "TEXT=$${paths[*]}" "CONTENTS=$${hash::16}" VOCABULARY=$(VOCABULARY))
	model=$$(printf '%s\n' "$$text" $(foreach name,$(MODEL),$(name)=$($(name))))
	is_there "$(RUN)" "$$model" && before=yes || before=
	if ! is_there "$(TOKENS)" "$$text"; then
	    rm -rf "$(TOKENS).part"
	    $(SWIFTLET) tokenize --input "$${paths[@]}" --output "$(TOKENS).part" --vocab-size $(VOCABULARY)
	    echo "$$text" >"$(TOKENS).part/.made-with"
	    mv "$(TOKENS).part" "$(TOKENS)"
	fi
	mkdir -p "$(RUN)"
	echo "$$model" >"$(RUN)/.made-with"
	if [[ ! -e "$(RUN)/.untrained" ]]; then
	    # The weights as the seed gives them: one step with a learning rate of zero. Only its perplexity is kept.
	    rm -rf "$(RUN)/untrained"
	    $(TRAIN) --run-dir "$(RUN)/untrained" --steps 1 --learning-rate 0 >/dev/null
	    keep untrained $(EVALUATE) "$(RUN)/untrained"
	    rm -rf "$(RUN)/untrained"
	fi
	if [[ ! -e "$(RUN)/.stopped" ]]; then
	    # Half of the run. 75 is the exit code of a stop that saved, this one or Ctrl-C's.
	    $(TRAIN) $(SCHEDULE) --stop-after $(STOP_AFTER) || [[ $$? == 75 ]]
	    [[ -e "$(RUN)/checkpoints/$$(printf 'step-%08d' $(STOP_AFTER))" ]] || exit 75
	    keep stopped $(EVALUATE) "$(RUN)"
	    echo "--- stopped after step $(STOP_AFTER); the same command again goes on from there"
	fi
	if [[ ! -e "$(RUN)/.finished" ]]; then
	    # The other half, from the checkpoint: the same command, without the stop.
	    $(TRAIN) $(SCHEDULE)
	    keep finished $(EVALUATE) "$(RUN)"
	elif [[ -n $$before ]]; then
	    echo "--- $(RUN) was trained with these settings before; 'make clean-run NAME=$(NAME)' removes it"
	fi
	echo
	echo "validation, before training:       $$(cat "$(RUN)/.untrained")"
	echo "validation, where it was stopped:  $$(cat "$(RUN)/.stopped")"
	echo "validation, at the end:            $$(cat "$(RUN)/.finished")"
	echo
	echo "$(SWIFTLET) generate --checkpoint $(RUN) --prompt '$$PROMPT'"
	$(SWIFTLET) generate --checkpoint "$(RUN)" --prompt "$$PROMPT"

# nanoGPT's Shakespeare: a tokenizer without merges makes bytes of it. What is downloaded must be the text that was measured.
SHAKESPEARE := https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt
SHAKESPEARE_SUM := 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
shakespeare: NAME := $(if $(TEXT)$(filter command% environment%,$(origin NAME)),$(NAME),shakespeare)

corpus/shakespeare/input.txt:
	@mkdir -p $(@D)
	curl -fsSL -o $@.part $(SHAKESPEARE)
	sum=$$(sha256sum <$@.part)
	[[ $${sum%% *} == $(SHAKESPEARE_SUM) ]] || { echo "make: $@.part is not the text: its SHA-256 is $${sum%% *}" >&2; exit 1; }
	mv $@.part $@

shakespeare: build $(if $(TEXT),,corpus/shakespeare/input.txt) ## nanoGPT's Shakespeare, configs/shakespeare-char.yaml, and its whole validation loss; TEXT=path for a text that is there
	@text=$${TEXT:-corpus/shakespeare/input.txt} bytes="corpus/$(NAME)-bytes" run="runs/$(NAME)-bytes"
	sum=$$(sha256sum <"$$text")
	if [[ ! -e $$bytes ]]; then
	    rm -rf "$$bytes.part"
	    $(SWIFTLET) tokenize --input "$$text" --output "$$bytes.part" --vocab-size 257
	    echo "$$sum" >"$$bytes.part/.made-with"
	    mv "$$bytes.part" "$$bytes"
	fi
	[[ $$(cat "$$bytes/.made-with") == "$$sum" ]] || { echo "make: $$bytes is of another text: give another NAME, or remove it" >&2; exit 1; }
	launch/local -n $(RANKS) -t 1 train --config configs/shakespeare-char.yaml --train-data "$$bytes/train_*.bin" \
	    --val-data "$$bytes/val_*.bin" --run-dir "$$run"
	$(SWIFTLET) evaluate --checkpoint "$$run" --data "$$bytes/val_*.bin"

clean-run: ## remove what `make train` made of NAME: tokens, checkpoints, metrics
	@for folder in "$(RUN)" "$(TOKENS)"; do
	    [[ ! -e $$folder ]] || [[ -e $$folder/.made-with ]] || { echo "make: $$folder is not of 'make train'; it stays" >&2; continue; }
	    rm -rf "$$folder"
	done

test: setup ## every test, the ones under mpirun included
	@swift build $(TEST_BUILD) --build-tests
	swift test $(TEST_BUILD) --skip-build

# Models of every family made by transformers, against it and the readers of what is exported. MODELS='llama qwen3': a part.
MODELS ?=
INTEROP := .build/interop

interop-packages:
	@if ! cmp -s Tests/Reference/requirements.txt $(INTEROP)/made-of; then
	    rm -rf $(INTEROP)
	    python3 -m venv $(INTEROP)
	    $(INTEROP)/bin/pip install --quiet --requirement Tests/Reference/requirements.txt
	    cp Tests/Reference/requirements.txt $(INTEROP)/made-of
	fi

interop: build interop-packages corpus/swift/.complete ## compare with PyTorch, transformers, TensorBoard, gguf and llm.c's layout, in a virtual environment of pinned versions (some GB)
	@cat corpus/swift/*.swift | head -c 600000 >$(INTEROP)/text || [[ $$? == 141 ]]
	$(INTEROP)/bin/python Tests/Reference/check_export.py --text $(INTEROP)/text
	$(INTEROP)/bin/python Tests/Reference/compare_families.py --text $(INTEROP)/text $(if $(MODELS),--only $(MODELS))
	$(INTEROP)/bin/python Tests/Reference/compare_muon.py --text $(INTEROP)/text
	$(INTEROP)/bin/python Tests/Reference/check_events.py --text $(INTEROP)/text

mutants: setup ## wrong code that the tests must notice, one edit after the other (some hours); ONLY='M Kernels': a part of them
	@Tests/Mutants/run $(ONLY)

lint: ## the formatter's strict rules; shell syntax, and shellcheck where it is installed
	@swift format lint --strict -r Package.swift Sources Tests Examples
	for script in launch/* .ci/run Tests/Mutants/run; do bash -n "$$script"; done
	! command -v shellcheck >/dev/null || shellcheck -x launch/* .ci/run Tests/Mutants/run

# Ratios between settings of one machine: every round runs each setting once, and the ratio of a round's two values is
# what the machine's other users disturb least. Printed: the median over the rounds, the least and the greatest. Where
# both settings have the same ceiling, their shares of it are compared, which a slower minute disturbs less than tokens/s.
ROUNDS ?= 3

bench: build ## ceilings of this machine, where a training step goes, and ratios between settings (ROUNDS=5: more of them)
	@launch/local -n $(RANKS) bench
	declare -A speeds shares
	measure() { # NAME OPTIONS...: adds a value to both lists of the named setting
	    local report=$$(launch/local "$${@:2}" --json 2>/dev/null)
	    speeds[$$1]+=$$(sed -n 's/^  "tokensPerSecond" : \([0-9.]*\),*$$/\1/p' <<<"$$report")$$'\n'
	    shares[$$1]+=$$(sed -n 's/^  "modelFlopsUtilization" : \([0-9.]*\),*$$/\1/p' <<<"$$report")$$'\n'
	}
	ratio() { # TITLE VALUES VALUES
	    paste <(printf '%s' "$$2") <(printf '%s' "$$3") | awk '$$2 > 0 { print $$1 / $$2 }' | sort -n |
	        awk -v title="$$1" '{ r[NR] = $$1 } END { n = NR
	            if (!n) { print title ": not measured"; exit }
	            printf "%-62s %.3f  (%.3f to %.3f)\n", title, (r[int((n + 1) / 2)] + r[int(n / 2) + 1]) / 2, r[1], r[n] }'
	}
	for ((round = 1; round <= $(ROUNDS); round++)); do
	    measure one -n 1 -t 1 bench
	    measure both -n 2 -t 1 bench
	    measure threads -n 1 -t 2 bench --micro-batch 16
	    measure full -n 2 -t 1 bench --precision fp32
	    measure blocking -n 2 -t 1 bench --overlap none
	    measure mpi -n 2 -t 1 bench --reduction mpi
	done
	echo
	echo "ratios of $(ROUNDS) rounds: median (least to greatest)"
	ratio "tokens/s: 2 ranks against 1 rank" "$${speeds[both]}" "$${speeds[one]}"
	ratio "tokens/s: 1 rank of 2 threads against 2 ranks, same batch" "$${speeds[threads]}" "$${speeds[both]}"
	ratio "tokens/s: bf16 (where it is faster) against fp32" "$${speeds[both]}" "$${speeds[full]}"
	ratio "share of the ceiling: overlapped against blocking reduction" "$${shares[both]}" "$${shares[blocking]}"
	ratio "share of the ceiling: exact reduction against MPI_Allreduce" "$${shares[both]}" "$${shares[mpi]}"

# STEPS or SECONDS: how long the peer trains. The shape is the race's own but for what is given here. OPTIONS: Swiftlet's in
# place of `--recipe modern`. RACE: other options of race.py.
SEEDS ?= 3
OPTIONS ?=
PICTURE ?=
RACE ?=
given = $(if $(filter command% environment%,$(origin $1)),--$2 $($1))

race: build interop-packages $(if $(TEXT),,corpus/swift/.complete) ## seconds to the loss of tuned, compiled PyTorch, on the same text and cores; STEPS, SECONDS, SEEDS, TEXT, PICTURE=docs/race.svg
	@if [[ -z $$TEXT ]]; then paths=(corpus/swift); elif [[ -e $$TEXT ]]; then paths=("$$TEXT"); else paths=($$TEXT); fi
	$(INTEROP)/bin/python Tests/Reference/race.py --text "$${paths[@]}" --work "runs/race-$(NAME)" --seeds $(SEEDS) \
	    $(if $(OPTIONS),--options="$(OPTIONS)") $(if $(PICTURE),--picture "$(PICTURE)") $(call given,SECONDS,seconds) \
	    $(call given,STEPS,steps) $(call given,RANKS,cores) $(call given,VOCABULARY,vocabulary) $(call given,LAYERS,layers) \
	    $(call given,WIDTH,width) $(call given,HEADS,heads) $(call given,CONTEXT,context) $(RACE)

clean: ## remove what was built; corpus/ and runs/ stay
	@rm -rf .build
