# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared by the parts
# The way out. Sourced by install.sh.

REMOVE_STEPS=(stop unfile programs)
PURGE_STEPS=(data account)

what_stop() { say "stop the gateway"; }
need_stop() { gateway_runs || { has_systemd && systemctl -q is-enabled "$UNIT" 2>/dev/null; }; }
do_stop() {
  if has_systemd; then
    systemctl -q disable --now "$UNIT"
  fi
  if gateway_runs; then
    as_service "$OPT/current/bin/tinybms-ctl" down ||
      refuse "the gateway could not be stopped: see the line above, then run this again"
  fi
}

what_unfile() { say "remove$(ours_outside | awk '{ printf " %s", $0 }')"; }
need_unfile() { [ -n "$(ours_outside)" ]; }
do_unfile() {
  local place
  while read -r place; do
    if [ ! -L "$place" ] && ! in_manifest "$place"; then
      say "  $place was changed by its owner: left as it is"
      sed -i "\\|  $place\$|d" "$MANIFEST"
      continue
    fi
    rm -f "$place"
    sed -i "\\|  $place\$|d" "$MANIFEST"
  done < <(ours_outside)
  sort -r "$FOLDERS" 2>/dev/null | while read -r place; do
    rmdir "$place" 2>/dev/null || true
  done
  tell_system
}
ours_outside() {
  [ "$(readlink "$CTL_LINK")" != "$OPT/current/bin/tinybms-ctl" ] || say "$CTL_LINK"
  [ ! -e "$MANIFEST" ] || sed 's/^[0-9a-f]*  //' "$MANIFEST" | sort -u
}

what_programs() { say "remove $OPT and $RUN"; }
need_programs() { [ -e "$OPT" ] || [ -e "$RUN" ]; }
do_programs() { rm -rf "${OPT:?}" "${RUN:?}"; }

what_data() { say "remove $ETC, $STATE and $LOG: configuration, counters, history, logs"; }
need_data() { [ -e "$ETC" ] || [ -e "$STATE" ] || [ -e "$LOG" ]; }
do_data() { rm -rf "${ETC:?}" "${STATE:?}" "${LOG:?}"; }

what_account() { say "remove the user $SERVICE_USER"; }
need_account() { id -u "$SERVICE_USER" >/dev/null 2>&1; }
do_account() { userdel "$SERVICE_USER"; }

finish_remove() {
  if [ -n "$DRY_RUN" ]; then say "nothing was changed (--dry-run)"; else
    say "the gateway is removed. $ETC, $STATE, $LOG and the user $SERVICE_USER stay; --purge removes them"
  fi
}
finish_purge() {
  if [ -n "$DRY_RUN" ]; then say "nothing was changed (--dry-run)"; else say "nothing of the gateway is left"; fi
}
