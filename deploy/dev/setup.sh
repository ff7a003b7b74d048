#!/usr/bin/env bash
# What the Makefile needs on a fresh Debian 12 machine. Run it as: setup.sh venv | mosquitto | strace | chromium | promtool | install-tools | demo | test | wheelhouse | lock
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PIP_DISABLE_PIP_VERSION_CHECK=1
# Most tests wait for real processes and clocks, so that two cores serve three workers.
TEST_WORKERS=${TEST_WORKERS:-3}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

may_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# A package that brings a service must not start it here: the tests run their own brokers on their own ports.
apt_install() (
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  policy=/usr/sbin/policy-rc.d
  say "installing with apt-get: $*"
  if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
  fi
  "${as_root[@]}" apt-get update -qq </dev/null >&2 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
)

find_python() {
  local name
  for name in python3.11 python3 python3.12 python3.13; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

ready_python() {
  local python
  if ! python=$(find_python); then
    may_install || fail "Python 3.11 or later is missing; install python3 and python3-venv."
    apt_install python3 python3-venv || fail "apt-get could not install python3."
    python=$(find_python) || fail "this system's Python is older than 3.11."
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    may_install || fail "$python has no ensurepip; install the package python3-venv."
    apt_install python3-venv || fail "apt-get could not install python3-venv."
    "$python" -c 'import ensurepip, venv' || fail "$python still has no ensurepip."
  fi
  printf '%s\n' "$python"
}

make_venv() {
  local python
  if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(ready_python)
    say "making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv
  fi
  say "installing the locked versions into .venv"
  .venv/bin/python -m pip install -q --require-hashes -r requirements-dev.lock
  .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
  touch .venv/.ready
}

# Two make runs at once share one .venv: the second waits.
venv() {
  exec 9<pyproject.toml
  flock 9
  if [ -e .venv/.ready ] && [ -z "$(find requirements-dev.lock pyproject.toml deploy/dev/setup.sh -newer .venv/.ready)" ]; then
    return
  fi
  make_venv
}

mosquitto_or() {
  command -v mosquitto >/dev/null && return
  if may_install && apt_install mosquitto; then
    return
  fi
  "$@"
}

test_broker() {
  mosquitto_or fail "mosquitto is missing and the tests need it; install the package mosquitto."
}

# Shows that the log of the buffer is synced; used by the long tests alone.
tracer() {
  command -v strace >/dev/null && return
  if may_install && apt_install strace; then
    return
  fi
  fail "strace is missing and the long tests need it; install the package strace."
}

# Shows the page; Node.js drives it.
browser() {
  local need=()
  command -v chromium >/dev/null || need+=(chromium)
  command -v node >/dev/null && command -v npm >/dev/null || need+=(nodejs npm)
  [ ${#need[@]} -eq 0 ] && return
  if may_install && apt_install "${need[@]}"; then
    return
  fi
  fail "the tests of the page need packages that are missing: ${need[*]}"
}

prometheus_tool() {
  command -v promtool >/dev/null && return
  if may_install && apt_install prometheus; then
    return
  fi
  fail "promtool is missing; install the package prometheus."
}

demo_broker() {
  .venv/bin/python -c 'import amqtt' 2>/dev/null || mosquitto_or install_amqtt
}

install_amqtt() {
  say "mosquitto is missing; installing amqtt into .venv in its place"
  .venv/bin/python -m pip install -q --require-hashes -r requirements-demo.lock
}

test_with_coverage() {
  local status=0
  rm -rf build/coverage
  mkdir -p build/coverage
  .venv/bin/python -m coverage run -m pytest -n "$TEST_WORKERS" --dist worksteal "$@" || status=$?
  .venv/bin/python -m coverage combine -q || return "$((status ? status : 1))"
  .venv/bin/python -m coverage report >build/coverage/report.txt || true
  printf 'Branch coverage: %s %% (by file: build/coverage/report.txt)\n' \
    "$(.venv/bin/python -m coverage report --format=total)"
  return "$status"
}

# Everything that an installation without internet needs, for machines like this one: the wheels, pip,
# and install.sh with its files. For others: WHEELHOUSE_FOR="--python-version 3.13 --platform manylinux_2_28_aarch64"
wheelhouse() {
  local folder=build/wheelhouse pip=(.venv/bin/python -m pip) for_others=()
  read -r -a for_others <<<"${WHEELHOUSE_FOR:-}"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  "${pip[@]}" download -q --require-hashes --only-binary :all: ${for_others[@]+"${for_others[@]}"} \
    -d "$folder.new" -r requirements.lock -r requirements-pip.lock
  "${pip[@]}" wheel -q --no-deps --no-build-isolation --wheel-dir "$folder.new" .
  cp -r requirements.lock deploy/install.sh deploy/install deploy/systemd deploy/udev "$folder.new/"
  rm -rf "$folder"
  mv "$folder.new" "$folder"
  say "made $folder ($(du -sh "$folder" | cut -f1)); on the other machine: $folder/install.sh"
}

# Trees for the tests of install.sh, and what judges shell scripts.
install_tools() {
  local need=()
  command -v debootstrap >/dev/null || need+=(debootstrap)
  command -v shellcheck >/dev/null || need+=(shellcheck)
  [ ${#need[@]} -eq 0 ] && return
  if may_install && apt_install "${need[@]}"; then
    return
  fi
  fail "the tests of install.sh need packages that are missing: ${need[*]}"
}

lock() {
  local env=build/lock-venv python extra
  if [ ! -x "$env/bin/pip-compile" ]; then
    python=$(ready_python)
    "$python" -m venv "$env"
    "$env/bin/pip" install -q pip-tools==7.6.2
  fi
  compile_from() {
    "$env/bin/pip-compile" -q --upgrade --no-header --generate-hashes --allow-unsafe --strip-extras \
      --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options "$@"
  }
  compile() { compile_from "$@" pyproject.toml; }
  compile -o requirements.lock
  for extra in dev demo; do
    compile --extra "$extra" -c requirements.lock -o "requirements-$extra.lock"
  done
  echo pip | compile_from - -o requirements-pip.lock
  ! grep -nE '://|^ *--(index|extra-index|find-links|trusted)' requirements*.lock ||
    fail "a lock file names a place to download from."
}

case "${1:-}" in
  venv | wheelhouse | lock) "$1" ;;
  mosquitto) test_broker ;;
  strace) tracer ;;
  chromium) browser ;;
  promtool) prometheus_tool ;;
  install-tools) install_tools ;;
  demo) demo_broker ;;
  test) shift; test_with_coverage "$@" ;;
  *) fail "usage: $0 venv | mosquitto | strace | chromium | promtool | install-tools | demo | test [pytest arguments] | wheelhouse | lock" ;;
esac
