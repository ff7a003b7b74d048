# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared by the parts
# The steps of an installation apart from the version itself. Sourced by install.sh.

INSTALL_STEPS=(packages version user folders config files switch restart start prune)
ROLLBACK_STEPS=(user folders config files switch restart start)
ASKED="packages user files start stop unfile programs data account"

what_packages() { say "install $(missing_packages) with apt-get"; }
need_packages() { [ -n "$(missing_packages)" ]; }
do_packages() {
  # shellcheck disable=SC2046 # one word each
  { mend_packages && apt_get update -qq &&
    apt_get install -y -qq --no-install-recommends $(missing_packages); } </dev/null >&2 ||
    refuse "apt-get could not install $(missing_packages) (see above): connect this machine to the" \
      "internet; from a wheelhouse it takes only python3: --wheelhouse DIR"
}

# An installation that was cut off leaves packages half unpacked, and apt-get refuses all work then.
mend_packages() {
  [ -n "$(dpkg --audit)" ] || [ -n "$(ls /var/lib/dpkg/updates)" ] || return 0
  say "  packages are half installed: finishing them"
  DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a || true
  apt_get update -qq && apt_get install -y -qq --fix-broken
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold "$@"
}

# From a wheelhouse pip comes with the wheels, and python3-venv would bring nothing but pip.
missing_packages() {
  local list=
  /usr/bin/python3 -c 'import sqlite3, ssl, venv' 2>/dev/null || list="python3"
  [ -n "$WHEELHOUSE" ] || [ -e "$OPT/$VERSION/.complete" ] ||
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || list="$list python3-venv"
  printf '%s' "${list# }"
}

what_user() { say "make the system user $SERVICE_USER, in the group dialout (serial ports)"; }
need_user() { ! id -nG "$SERVICE_USER" 2>/dev/null | grep -qw dialout; }
do_user() {
  id -u "$SERVICE_USER" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$STATE" \
    --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
  usermod -a -G dialout "$SERVICE_USER"
}

what_folders() { say "make $ETC, $STATE, $LOG$(has_systemd || printf ' and %s' "$RUN")"; }
need_folders() {
  local line
  while read -r line; do
    # shellcheck disable=SC2086 # the words of a row
    folder_is_right $line || return 0
  done < <(folders)
  return 1
}
do_folders() {
  local path mode owner
  while read -r path mode owner; do
    install -d -m "$mode" -o "$owner" -g "$SERVICE_USER" "$path"
  done < <(folders)
}
folder_is_right() { [ "$(stat -c '%a %U %G' "$1" 2>/dev/null)" = "${2#0} $3 $SERVICE_USER" ]; }

# Path, mode, owner; the group is the service's. systemd makes /run/tinybms by itself.
folders() {
  say "$ETC 0750 root"
  say "$STATE 0750 $SERVICE_USER"
  say "$LOG 0750 $SERVICE_USER"
  has_systemd || say "$RUN 0750 $SERVICE_USER"
}

# The text is the owner's alone; who may read it is ours.
what_config() { say "let $SERVICE_USER alone read $CONFIG (0640)"; }
need_config() {
  [ -e "$CONFIG" ] && [ "$(stat -c '%a %U %G' "$CONFIG")" != "640 root $SERVICE_USER" ]
}
do_config() {
  chown "root:$SERVICE_USER" "$CONFIG"
  chmod 0640 "$CONFIG"
}

# File in the version's folder deploy/, place on the machine.
placed_files() {
  cat <<END
tinybms-gateway.service /etc/systemd/system/tinybms-gateway.service
tinybms-slcan@.service /etc/systemd/system/tinybms-slcan@.service
80-can0.network /etc/systemd/network/80-can0.network
60-tinybms.rules /etc/udev/rules.d/60-tinybms.rules
tinybms-ctl.bash /usr/local/share/bash-completion/completions/tinybms-ctl
tinybms-ctl.1 /usr/local/share/man/man1/tinybms-ctl.1
END
}
CTL_LINK=/usr/local/bin/tinybms-ctl

what_files() { say "place unit, udev rule, CAN network file, completion, man page and $CTL_LINK"; }
need_files() {
  local name place
  [ "$(readlink "$CTL_LINK")" = "$OPT/current/bin/tinybms-ctl" ] || return 0
  while read -r name place; do
    is_owners "$place" && continue
    cmp -s "$OPT/$VERSION/deploy/$name" "$place" && in_manifest "$place" || return 0
  done < <(placed_files)
  return 1
}
do_files() {
  local name place
  [ -L "$CTL_LINK" ] || [ ! -e "$CTL_LINK" ] ||
    refuse "$CTL_LINK is there and is not ours: move it away and run this again"
  while read -r name place; do
    if is_owners "$place"; then
      say "  $place was changed by its owner: left as it is"
      continue
    fi
    place_file "$OPT/$VERSION/deploy/$name" "$place"
  done < <(placed_files)
  make_folder "$(dirname "$CTL_LINK")"
  ln -sfn "$OPT/current/bin/tinybms-ctl" "$CTL_LINK"
  tell_system
}

# First the manifest, then the file: what we placed is never taken for the owner's.
place_file() {
  local from=$1 place=$2 line
  line="$(sha256sum <"$from" | cut -d' ' -f1)  $place"
  make_folder "$(dirname "$place")"
  printf '%s\n' "$line" >>"$MANIFEST"
  install -m 0644 "$from" "$place.tinybms-new"
  mv "$place.tinybms-new" "$place"
  { grep -vF "  $place" "$MANIFEST" || true; printf '%s\n' "$line"; } >"$MANIFEST.new"
  mv "$MANIFEST.new" "$MANIFEST"
}
in_manifest() {
  [ -e "$1" ] && grep -qxF "$(sha256sum <"$1" | cut -d' ' -f1)  $1" "$MANIFEST" 2>/dev/null
}

# Remembers what it makes, so that --remove takes it away again.
make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "$(dirname "$1")"
  printf '%s\n' "$1" >>"$FOLDERS"
  mkdir "$1"
}

# A file that is neither as we placed it nor as this version has it.
is_owners() {
  [ -e "$1" ] && ! in_manifest "$1" &&
    ! cmp -s "$OPT/$VERSION/deploy/$(name_of "$1")" "$1"
}
name_of() { placed_files | awk -v place="$1" '$2 == place { print $1 }'; }

tell_system() {
  has_systemd || return 0
  systemctl daemon-reload
  if command -v udevadm >/dev/null; then
    udevadm control --reload
    udevadm trigger --subsystem-match=tty --subsystem-match=net
  fi
  ! systemctl -q is-active systemd-networkd || networkctl reload
}

what_start() {
  if has_systemd; then say "enable and start $UNIT"; else
    say "start the gateway with tinybms-ctl up, for systemd does not run here"
  fi
}
need_start() {
  [ -e "$CONFIG" ] || return 1
  ! gateway_runs || { has_systemd && ! systemctl -q is-enabled "$UNIT"; }
}
do_start() {
  check_config
  check_ports
  if has_systemd; then
    [ ! -e /sys/class/net/can0 ] || systemctl -q enable --now systemd-networkd
    systemctl -q enable --now "$UNIT"
  else
    (cd / && exec setsid --fork setpriv --reuid="$SERVICE_USER" --regid="$SERVICE_USER" --init-groups \
      env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$STATE" LANG=C.UTF-8 \
      "$OPT/current/bin/tinybms-ctl" up --config "$CONFIG" \
      </dev/null >/dev/null 2>"$LOG/up.log" 9>&-)
  fi
  wait_until_it_runs
}
check_ports() {
  local text
  gateway_runs || text=$("$OPT/$VERSION/bin/python" -P -m tinybms_ctl.taken "$CONFIG" 2>&1) ||
    refuse "$text"
}
wait_until_it_runs() {
  local n
  for n in $(seq 150); do
    [ -S "$RUN/supervisor.sock" ] && gateway_runs && return
    sleep 0.2
  done
  [ ! -s "$LOG/up.log" ] || cat "$LOG/up.log" >&2
  refuse "the gateway did not start within $((n / 5)) s: read tinybms-ctl logs, or journalctl -u $UNIT"
}

finish_install() {
  if [ -n "$DRY_RUN" ]; then
    say "nothing was changed (--dry-run)"
  elif [ ! -e "$CONFIG" ]; then
    say "version $VERSION is installed. Next: tinybms-ctl init, then run this again to start it"
  else
    say "version $VERSION is installed and runs. See: tinybms-ctl status, tinybms-ctl doctor"
  fi
}
