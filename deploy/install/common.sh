# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared by the parts
# Where everything is, what is said, and how a table of steps is run. Sourced by install.sh.

OPT=/opt/tinybms-gateway
ETC=/etc/tinybms
CONFIG=$ETC/gateway.toml
STATE=/var/lib/tinybms
LOG=/var/log/tinybms
RUN=/run/tinybms
SERVICE_USER=tinybms
UNIT=tinybms-gateway.service
# What lies outside these folders and is as we made it: lines of sha256sum.
MANIFEST=$OPT/installed
# Folders outside that we made.
FOLDERS=$OPT/installed-folders
# While it exists the gateway is between two versions: the one to go back to, the new one, and why.
UPGRADING=$OPT/upgrading
# A version has about 50 MB, and pip needs room to work; state, history and logs grow to that.
OPT_NEEDS_MB=150
VAR_NEEDS_MB=50

ACTION=install
YES=
DRY_RUN=
WHEELHOUSE=
VERSION=
STEP=
TOLD=

say() { printf '%s\n' "$*"; }

# Ends the script with what is wrong, where, and what to do.
refuse() {
  printf 'install.sh: %s\n' "$*" >&2
  TOLD=1
  exit 1
}

has_systemd() { [ -d /run/systemd/system ]; }

as_service() {
  setpriv --reuid="$SERVICE_USER" --regid="$SERVICE_USER" --init-groups \
    env HOME="$STATE" TINYBMS_CONFIG="$CONFIG" "$@"
}

# The version that a link in $OPT names; nothing when there is none.
named_by() { readlink "$OPT/$1" 2>/dev/null || true; }

# Lets a link in $OPT name a version, in one step.
point() {
  ln -sfn "$2" "$OPT/$1.new"
  mv -T "$OPT/$1.new" "$OPT/$1"
}

gateway_runs() {
  local pid
  pid=$(cat "$RUN/supervisord.pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q supervisor
}

check_machine() {
  local id version
  [ "$(id -u)" -eq 0 ] || refuse "this user may not install: run it as root, such as: sudo $0"
  # shellcheck source=/dev/null
  id=$(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-}") || true
  # shellcheck source=/dev/null
  version=$(. /etc/os-release 2>/dev/null && printf '%s' "${VERSION_ID:-}") || true
  case "${id:-unknown} ${version:-}" in
    "debian 12" | "debian 13" | "raspbian 12" | "raspbian 13") ;;
    *) refuse "this system is ${id:-unknown} ${version:-} (/etc/os-release): it takes Debian 12 or 13," \
      "or the Raspberry Pi OS made of them" ;;
  esac
}

# A second copy at the same time would undo the first one's work. The lock needs no file of its own.
take_lock() {
  mkdir -p /opt
  exec 9</opt
  flock -w 20 9 || refuse "another install.sh is at work (lock on /opt): wait until it has ended"
}

check_space() {
  local folder needed free
  for folder in "/opt $OPT_NEEDS_MB" "/var $VAR_NEEDS_MB"; do
    needed=${folder#* }
    folder=${folder% *}
    [ "$folder" = /opt ] && [ -e "$OPT/$VERSION/.complete" ] && continue
    free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$needed" ] ||
      refuse "$folder has $free MB free, it takes $needed MB: make room, nothing is changed"
  done
}

# A step NAME is: need_NAME (true when there is something to do), do_NAME, what_NAME (a sentence),
# and in ASKED when it touches what is not the gateway's own, or what can't be had again.
run_steps() {
  ask_about "$@"
  for STEP in "$@"; do
    "need_$STEP" || continue
    say "step $STEP: $("what_$STEP")"
    if [ -z "$DRY_RUN" ]; then "do_$STEP"; fi
  done
  STEP=
}

ask_about() {
  local step answer list=
  for step in "$@"; do
    case " $ASKED " in
      *" $step "*) "need_$step" && list="$list  $step: $("what_$step")"$'\n' ;;
    esac
  done
  [ -n "$list" ] && [ -z "$YES$DRY_RUN" ] || return 0
  say "These steps change the machine outside the gateway's own folders, or remove what is in them:"
  printf '%s' "$list"
  [ -t 0 ] || refuse "nobody is there to ask: run it with --yes to agree, nothing is changed"
  read -r -p "Go on? [y/N] " answer || answer=
  case "$answer" in
    y | Y | yes | o | O | oui) ;;
    *) refuse "not wanted, nothing is changed" ;;
  esac
}

on_exit() {
  local status=$?
  [ "$status" -ne 0 ] || return 0
  drop_unused_version
  [ -n "$TOLD" ] || printf 'install.sh: ended in step %s (exit code %s); run it again to complete it\n' \
    "${STEP:-at the start}" "$status" >&2
}
