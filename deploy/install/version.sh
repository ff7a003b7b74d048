# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared by the parts
# A version in its folder, and the way from one version to another. Sourced by install.sh.

# The version that this script brings, and the wheelhouse that it lies in, if it does.
find_version() {
  local wheels
  if [ -z "$WHEELHOUSE" ] && ls "$HERE"/tinybms_gateway-*.whl >/dev/null 2>&1; then
    WHEELHOUSE=$HERE
  fi
  if [ -n "$WHEELHOUSE" ]; then
    wheels=$(find "$WHEELHOUSE" -maxdepth 1 -name 'tinybms_gateway-*.whl' 2>/dev/null) || true
    [ "$(printf '%s' "$wheels" | grep -c .)" -eq 1 ] ||
      refuse "$WHEELHOUSE: has to hold one tinybms_gateway-*.whl: make it with make wheelhouse"
    WHEELHOUSE=$(cd "$WHEELHOUSE" && pwd)
    VERSION=$(basename "$wheels" | cut -d- -f2)
  else
    VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$HERE/../pyproject.toml" 2>/dev/null) || true
    [ -n "$VERSION" ] || refuse "$HERE: neither a source folder nor a wheelhouse: take a whole one"
  fi
}

# The one before, for --rollback.
find_previous() {
  VERSION=$(named_by previous)
  # One that was interrupted: an upgrade is taken back, a way back is gone to its end.
  case "$(marked 3)" in
    rollback) VERSION=$(marked 2) ;;
    install) VERSION=$(marked 1) ;;
  esac
  [ -n "$VERSION" ] || refuse "there is no version before this one in $OPT: nothing to go back to"
  [ -e "$OPT/$VERSION/.complete" ] || refuse "$OPT/$VERSION is not whole: install it anew"
  check_config
}

what_version() { say "make $OPT/$VERSION from ${WHEELHOUSE:-the internet}"; }
need_version() { ! version_works; }
version_works() {
  [ -e "$OPT/$VERSION/.complete" ] &&
    "$OPT/$VERSION/bin/python" -P -c 'import tinybms_ctl' 2>/dev/null
}
do_version() {
  local folder=$OPT/$VERSION
  if [ "$(named_by current)" = "$VERSION" ] && gateway_runs; then
    refuse "$folder is in use and is not whole, or was made by hand: stop the gateway first"
  fi
  rm -rf "$folder"
  install -d -m 0755 "$OPT" "$OPT/bin"
  write_python
  if [ -n "$WHEELHOUSE" ]; then fill_offline "$folder"; else fill_online "$folder"; fi
  copy_deploy "$folder"
  check_programs
  check_config
  sync -f "$folder"
  touch "$folder/.complete"
}

# supervisord starts the processes by this name. Each stays with the version that was current then,
# whatever it imports later.
write_python() {
  cat >"$OPT/bin/python.new" <<END
#!/bin/sh
exec "\$(readlink -f $OPT/current)/bin/python" "\$@"
END
  chmod 0755 "$OPT/bin/python.new"
  mv "$OPT/bin/python.new" "$OPT/bin/python"
}

fill_offline() {
  local pip
  pip=$(find "$WHEELHOUSE" -maxdepth 1 -name 'pip-*.whl' | head -n 1)
  [ -n "$pip" ] || refuse "$WHEELHOUSE: has no pip-*.whl: make it anew with make wheelhouse"
  /usr/bin/python3 -m venv --without-pip "$1"
  quietly "$1/bin/python" "$pip/pip" --isolated install --no-index --find-links "$WHEELHOUSE" \
    --require-hashes -r "$WHEELHOUSE/requirements.lock" ||
    refuse "$WHEELHOUSE does not have every wheel that this machine needs ($(uname -m)," \
      "$(/usr/bin/python3 --version)): make it for such a machine; nothing is changed"
  quietly "$1/bin/python" "$pip/pip" --isolated install --no-index --no-deps \
    "$WHEELHOUSE"/tinybms_gateway-*.whl || refuse "the wheel in $WHEELHOUSE is damaged: make it anew"
}

fill_online() {
  local pins="$1/build-versions.txt" source
  source=$(cd "$HERE/.." && pwd)
  /usr/bin/python3 -m venv "$1"
  quietly "$1/bin/pip" install --retries 1 --require-hashes -r "$source/requirements.lock" ||
    refuse "the packages could not be downloaded: connect this machine to the internet, or make a" \
      "wheelhouse on another one (make wheelhouse) and give it with --wheelhouse DIR;" \
      "nothing is changed"
  grep -oE '^[A-Za-z0-9._-]+==[^ ]+' "$source/requirements-dev.lock" >"$pins"
  PIP_CONSTRAINT=$pins quietly "$1/bin/pip" install --retries 1 --no-deps "$source" ||
    refuse "the gateway could not be built from $source: look at the message above"
  rm "$pins"
}

# Shows what a command wrote only when it failed.
quietly() {
  local text
  text=$("$@" </dev/null 2>&1) || {
    printf '%s\n' "$text" | tail -n 15 >&2
    return 1
  }
}

# Each version brings the files that go outside, so that going back finds them as well.
copy_deploy() {
  local folder=$1/deploy
  mkdir -p "$folder"
  cp "${WHEELHOUSE:-$HERE}"/systemd/* "${WHEELHOUSE:-$HERE}"/udev/* "$folder/"
  _TINYBMS_CTL_COMPLETE=source_bash "$1/bin/tinybms-ctl" >"$folder/tinybms-ctl.bash"
  "$1/bin/python" -P -m tinybms_ctl.manpage >"$folder/tinybms-ctl.1"
  chmod 0644 "$folder"/*
}

# Each program must at least be able to start here, before the running one is ended for it.
check_programs() {
  local python=$OPT/$VERSION/bin/python module modules
  modules=$("$python" -P -c 'from tinybms_runtime.processes import PROCESSES as all
print(*(process.module for process in all))')
  for module in $modules; do
    quietly "$python" -P -m "$module" --help ||
      refuse "$module of version $VERSION does not start on this machine; nothing is changed"
  done
}

# The owner's file must be good for the version before anything moves.
check_config() {
  local text
  [ -e "$CONFIG" ] || return 0
  text=$("$OPT/$VERSION/bin/tinybms-ctl" config check "$CONFIG" 2>&1) || {
    printf '%s\n' "$text" >&2
    refuse "version $VERSION does not take $CONFIG: is it of a newer version? Install that one, or" \
      "correct the file; nothing is changed"
  }
}

# A version that this run made, or half made, and that nobody uses.
drop_unused_version() {
  [ "$ACTION" = install ] && [ "$STEP" = version ] && [ -n "$VERSION" ] || return 0
  [ "$(named_by current)" = "$VERSION" ] || rm -rf "${OPT:?}/$VERSION"
  [ -n "$(named_by current)" ] || rm -rf "${OPT:?}"
}

what_switch() {
  local now
  now=$(named_by current)
  say "let $OPT/current name $VERSION${now:+, keep $now and a copy of its state in $STATE}"
}
need_switch() { [ "$(named_by current)" != "$VERSION" ]; }
do_switch() {
  local now
  now=$(named_by current)
  if [ -n "$now" ] && [ -e "$CONFIG" ]; then
    check_config
    keep_state "$now"
    mark_upgrade "$now"
  fi
  point current "$VERSION"
}

# `tinybms-ctl restore` puts it back. The state itself stays: its forms carry their version.
keep_state() {
  local copy=$STATE/before-$VERSION.tar.gz text
  text=$(as_service "$OPT/$1/bin/tinybms-ctl" backup --secrets "$copy" 2>&1) ||
    refuse "no copy of the state could be made, nothing is changed: $text"
  say "  $copy: the state of $1"
}

# Beside the marker lies how well everything was.
mark_upgrade() {
  local from
  from=$(marked 1)
  [ -n "$from" ] ||
    as_service "$OPT/$1/bin/tinybms-ctl" status --json >"$OPT/upgrading.status" || true
  printf '%s %s %s\n' "${from:-$1}" "$VERSION" "$ACTION" >"$UPGRADING.new"
  sync -f "$UPGRADING.new"
  mv "$UPGRADING.new" "$UPGRADING"
}
marked() { cut -d' ' -f"$1" "$UPGRADING" 2>/dev/null || true; }

what_restart() { say "restart each process in turn, back by itself if not all is well within 60 s"; }
need_restart() { [ -e "$UPGRADING" ] || { [ -n "$DRY_RUN" ] && gateway_runs && need_switch; }; }
do_restart() {
  local from
  from=$(marked 1)
  if ! gateway_runs; then
    say "  the gateway does not run: nothing to restart"
  elif ! reload "$VERSION"; then
    go_back "$from"
  fi
  if [ "$ACTION" = rollback ]; then
    point previous "$VERSION"
  elif [ "$from" != "$VERSION" ]; then
    point previous "$from"
  fi
  end_upgrade
}
end_upgrade() { rm -f "$UPGRADING" "$OPT/upgrading.status"; }

# By the tinybms-ctl of the version given, which need not be the one that is started.
reload() {
  as_service "$OPT/$1/bin/tinybms-ctl" reload --before "$OPT/upgrading.status" --within 60 </dev/null
}

go_back() {
  local failed=$VERSION how=well
  VERSION=$1
  [ "$VERSION" != "$failed" ] || refuse "version $VERSION is not well: see tinybms-ctl doctor"
  say "  version $failed is not well: back to $VERSION"
  point current "$VERSION"
  do_files
  reload "$failed" || how="not well either: see tinybms-ctl doctor"
  end_upgrade
  [ "$ACTION" = rollback ] || rm -rf "${OPT:?}/$failed"
  refuse "version $failed did not work here (see above); version $VERSION runs again and is $how"
}

# Two versions stay: this one and the one before; and one that a process still runs from.
what_prune() { say "remove the versions $(old_versions | tr '\n' ' ')"; }
need_prune() { [ -n "$(old_versions)" ]; }
do_prune() {
  local name
  for name in $(old_versions); do rm -rf "${OPT:?}/$name"; done
}
old_versions() {
  local folder name
  for folder in "$OPT"/*/pyvenv.cfg; do
    folder=${folder%/pyvenv.cfg}
    name=${folder##*/}
    [ ! -L "$folder" ] || continue
    case "$name" in
      '*' | "$VERSION" | "$(named_by current)" | "$(named_by previous)") continue ;;
    esac
    grep -lsF "$OPT/$name/" /proc/[0-9]*/cmdline >/dev/null || say "$name"
  done
}

finish_rollback() {
  if [ -n "$DRY_RUN" ]; then say "nothing was changed (--dry-run)"; else
    say "version $VERSION is in use"
  fi
}
