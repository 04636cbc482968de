# What installers of systems with two slots, A and B, share: which release lies in which, and a switch that takes a restart and is gone on with after it.
# Who reads this has: $suffix of the file that is installed, $state (a folder of its own), and
#   booted                 prints A or B
#   install_into SLOT FILE
#   start_next SLOT        the next start tries it, and returns to the other one unless it is kept
#   keep                   what runs now
#   restart                the machine
set -eu

say() { echo "$*" >&2; }
# Whole or not at all, and durable.
note() { mkdir -p "$state"; echo "$2" >"$state/$1.new"; sync "$state/$1.new"; mv "$state/$1.new" "$state/$1"; sync "$state"; }
noted() { cat "$state/$1" 2>/dev/null || true; }
boot_id() { cat "${AB_BOOT_ID:-/proc/sys/kernel/random/boot_id}"; }
other_than() { if [ "$1" = A ]; then echo B; else echo A; fi; }
file_in() { set -- "$1"/*"$suffix"; [ -f "$1" ] || { say "no $suffix in $1"; exit 1; }; echo "$1"; }

install_release() { # SLOT RELEASE FOLDER
  [ "$(noted "$1")" != "$2" ] || return 0
  note "$1" none  # until it is whole
  install_into "$1" "$(file_in "$3")" || { say "$suffix could not be installed into slot $1"; exit 1; }
  note "$1" "$2"
}

# Ends: the restart is under way, or came back to where it began.
restart_into() { # SLOT
  set -- "$1" "$(noted next)"
  case $2 in
    "$1 $(boot_id)") exit 75 ;;
    "$1 "*) rm -f "$state/next"; say "slot $1 was started and did not stay: the boot loader went back"; exit 1 ;;
  esac
  start_next "$1"
  note next "$1 $(boot_id)"
  restart
  exit 75
}

main() {
  case $1 in
    check)
      for file in $FLEET_FILES; do case $file in *"$suffix") return ;; esac; done
      say "no file ends in $suffix"
      exit 1
      ;;
    install)
      [ "$(noted "$(booted)")" = "$FLEET_RELEASE" ] || install_release "$(other_than "$(booted)")" "$FLEET_RELEASE" "$FLEET_SLOT"
      ;;
    switch)
      [ "$(noted "$(booted)")" != "$FLEET_RELEASE" ] || return 0
      slot=$(other_than "$(booted)")
      [ "$(noted "$slot")" = "$FLEET_RELEASE" ] || { say "slot $slot holds $(noted "$slot")"; exit 1; }
      restart_into "$slot"
      ;;
    commit)
      [ "$(noted "$(booted)")" = "$FLEET_RELEASE" ] || { say "slot $(booted) runs, with $(noted "$(booted)")"; exit 1; }
      keep
      rm -f "$state/next"
      ;;
    rollback)
      if [ "$(noted "$(booted)")" != "$FLEET_RELEASE" ]; then  # it never ran, or came back
        start_next "$(booted)"
        keep
        rm -f "$state/next"
        return
      fi
      slot=$(other_than "$(booted)")
      # Something else was installed over it since: its files are still kept.
      [ -z "$FLEET_PREVIOUS" ] || install_release "$slot" "$FLEET_PREVIOUS" "$FLEET_SLOT/../$FLEET_PREVIOUS"
      restart_into "$slot"
      ;;
    state) echo "current=$(noted "$(booted)")" ;;
    *) exit 2 ;;
  esac
}
