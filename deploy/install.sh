#!/usr/bin/env bash
# Installs the TinyBMS gateway on Debian 12, Debian 13 and Raspberry Pi OS, brings it to another
# version and back, and removes it. Each step looks first whether it is needed, so that the script
# can be run again at any time, also after it was interrupted. How it is used: install.sh --help
set -eu
umask 022
unset PYTHONPATH PYTHONHOME
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/install/common.sh
. "$HERE/install/common.sh"
# shellcheck source=deploy/install/steps.sh
. "$HERE/install/steps.sh"
# shellcheck source=deploy/install/version.sh
. "$HERE/install/version.sh"
# shellcheck source=deploy/install/remove.sh
. "$HERE/install/remove.sh"

usage() {
  cat <<END
install.sh                    install this version, or bring the gateway to it
install.sh --wheelhouse DIR   the same without internet, from the folder that \`make wheelhouse\` made
install.sh --rollback         back to the version before
install.sh --remove           remove the programs; configuration, data and the user stay
install.sh --purge            remove everything
  --yes      ask nothing
  --dry-run  only show what would be done
END
}

read_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --yes) YES=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --wheelhouse)
        [ $# -ge 2 ] || refuse "--wheelhouse needs a folder: --wheelhouse DIR"
        WHEELHOUSE=$2
        shift
        ;;
      --remove | --purge | --rollback)
        [ "$ACTION" = install ] || refuse "--$ACTION and $1 exclude each other: choose one"
        ACTION=${1#--}
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) refuse "there is no option $1; all options: install.sh --help" ;;
    esac
    shift
  done
}

main() {
  read_options "$@"
  check_machine
  take_lock
  trap on_exit EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  case "$ACTION" in
    install)
      find_version
      check_space
      run_steps "${INSTALL_STEPS[@]}"
      ;;
    rollback)
      find_previous
      run_steps "${ROLLBACK_STEPS[@]}"
      ;;
    remove) run_steps "${REMOVE_STEPS[@]}" ;;
    purge) run_steps "${REMOVE_STEPS[@]}" "${PURGE_STEPS[@]}" ;;
  esac
  "finish_$ACTION"
}

main "$@"
