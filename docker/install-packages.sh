#!/bin/sh
# Installs what packages.txt lists and this system lacks. A base that has it all (the set-up makes
# such a one where no registry answers) is left as it is, and no mirror is asked.
set -eu
list=$(sed -e 's/#.*//' "$1")

lacks() {
  ! dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

missing=""
for entry in $list; do
  case $entry in
    *\?) ;; # decided below, once the lists are there
    *) if lacks "$entry"; then missing="$missing $entry"; fi ;;
  esac
done
if [ -z "$missing" ]; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
for entry in $list; do
  case $entry in
    *\?) if apt-cache show "${entry%\?}" >/dev/null 2>&1; then missing="$missing ${entry%\?}"; fi ;;
  esac
done
# shellcheck disable=SC2086
apt-get -q -y install --no-install-recommends $missing
apt-get clean
rm -rf /var/lib/apt/lists/*
