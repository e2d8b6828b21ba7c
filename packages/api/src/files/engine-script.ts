/** How the script below says what went wrong. */
export const EXIT = {
  notFound: 40,
  outside: 41,
  exists: 42,
  notDirectory: 43,
  isDirectory: 44,
  notEmpty: 45,
  notAFile: 46,
  notALink: 47,
  incomplete: 48,
  precondition: 49,
} as const;

/** Facts of a file as stat(1) of GNU and of BusyBox writes them. */
const FACTS = "%f %s %u %g %h %i %y %z";
/** The same as GNU's find writes them, but for the kind and mode. */
const FOUND_FACTS =
  "=%y%m %s %U %G %n %i %TY-%Tm-%Td %TH:%TM:%TS +0000 %CY-%Cm-%Cd %CH:%CM:%CS +0000";

/**
 * What the scripts here share. A folder is entered before it is used: the working directory stays the folder that was
 * checked, whatever its path is turned into meanwhile. A file is opened before it is checked, for the same reason.
 * Folders and names come escaped for printf's %b, so that any bytes pass.
 */
export const SCRIPT_PRELUDE = `
export LC_ALL=C TZ=UTC0
bytes() { text=$(printf '%b/' "$1"); text=\${text%/}; }
inside() { case $1/ in /workspace/*) ;; *) exit ${EXIT.outside} ;; esac; }
denied() { echo 'Permission denied' >&2; exit 1; }
missing() {
  at=$1
  while :; do
    case $at in */*) at=\${at%/*} ;; *) break ;; esac
    [ -e "$at" ] && [ ! -d "$at" ] && exit ${EXIT.notDirectory}
    [ -d "$at" ] && { cd -P -- "$at" && here; break; }
  done
  [ -L "$1" ] && inside "$(readlink -f -- "$1")"
  [ -d "$1" ] && denied
  [ -e "$1" ] && exit ${EXIT.notDirectory}
  exit ${EXIT.notFound}
}
# Asked of the kernel: some shells' own pwd goes by names, which can be swapped.
here() { inside "$(readlink /proc/self/cwd)"; }
enter() { cd -P -- "/workspace/$1" 2>/dev/null || missing "/workspace/$1"; here; }
enter_made() {
  cd -P /workspace || exit 1
  IFS=/; set -f
  for part in $1; do
    [ "$part" = . ] && continue
    if ! cd -P -- "./$part" 2>/dev/null; then
      [ -L "./$part" ] && inside "$(readlink -f -- "./$part")"
      made=$(mkdir -- "./$part" 2>&1) || [ -d "./$part" ] || {
        [ -e "./$part" ] || [ -L "./$part" ] && exit ${EXIT.notDirectory}
        printf '%s' "$made" >&2; exit 1
      }
      cd -P -- "./$part" || exit 1
    fi
    here
  done
  unset IFS; set +f
}
there() { [ -e "$1" ] || [ -L "$1" ]; }
folder() { [ -d "$1" ] && [ ! -L "$1" ]; }
# GNU's newer stat needs a system call that older releases of gVisor don't know; find gets by without.
stat_works() { case $(stat -c %i / 2>&1) in *statx*) return 1 ;; esac; }
found() { find $3 "$1" -maxdepth 0 -printf "$2"; }
stated() { # file, format of stat, of find, options
  text=$(stat $4 -c "$2" -- "$1" 2>&1) && { printf '%s\\n' "$text"; return; }
  case $text in
    *statx*Invalid* | *statx*implemented*) found "$1" "$3\\n" "$4" ;;
    *) printf '%s\\n' "$text" >&2; return 1 ;;
  esac
}
facts() { stated "$1" '${FACTS}' '${FOUND_FACTS}'; }
mode_of() { stated "$1" %a %m; }
# The entries of a folder, at most so many levels below.
listed() {
  if stat_works; then
    find . -mindepth 1 $1 -exec stat -c '/${FACTS}/%n' -- {} +
  else
    find . -mindepth 1 $1 -printf '/${FOUND_FACTS}/%p\\n'
  fi 2>/dev/null
}
open_file() {
  there "$1" || exit ${EXIT.notFound}
  [ -L "$1" ] && [ ! -e "$1" ] && exit ${EXIT.notFound}
  [ -d "$1" ] || [ -f "$1" ] || { [ -e "$1" ] && exit ${EXIT.notAFile}; }
  exec 3<"$1" || exit 1
  inside "$(readlink /proc/self/fd/3)"
}
opened_facts() { stated /proc/self/fd/3 '${FACTS}' '${FOUND_FACTS}' -L; }
`;

/**
 * File operations for spaces without a guest agent, run by the engine as the space's own user: POSIX sh and the usual
 * small programs, GNU's or BusyBox's. `sh -c SCRIPT sh OPERATION ARGUMENTS…`. A second folder is held as descriptor 4 and
 * named through /proc; below folders only single names are used.
 */
export const FILES_SCRIPT = `${SCRIPT_PRELUDE}
op=$1; shift
# Ends everything when the reader leaves, which keeps its end of stdin, here 5, open for as long as it wants more.
until_closed() { { cat; kill -9 0; } <&5 >/dev/null 2>&1 & }
# GNU's and newer BusyBox's mv and cp take -T: the second name is never a folder to put the first one into.
whole() { mv --help 2>&1 | grep -q -e -T && whole=T || whole=; }
# Goes to where a symlink leads, as a write does; what is swapped behind that is replaced, not followed.
follow() {
  [ -L "./$name" ] || return 0
  at=$(readlink -f -- "./$name" && echo /) || exit ${EXIT.notFound}
  at=\${at%?/}
  inside "$at"
  cd -P -- "\${at%/*}" || exit 1
  here
  name=\${at##*/}
}
check() { # name, rule (any, new), facts or -
  folder "$1" && exit ${EXIT.isDirectory}
  [ "$2" = new ] && there "$1" && exit ${EXIT.exists}
  if [ -e "$1" ]; then
    [ -f "$1" ] || exit ${EXIT.notAFile}
    [ -w "$1" ] || denied
  fi
  [ "$3" = - ] && return
  there "$1" || exit ${EXIT.precondition}
  [ "$(facts "$1")" = "$3" ] || exit ${EXIT.precondition}
}
land() { # temporary name, name, rule
  if [ "$3" = new ]; then
    ln -- "./$1" "./$2" 2>/dev/null || { rm -f -- "./$1"; exit ${EXIT.exists}; }
    rm -f -- "./$1"
  else
    whole; mv -f$whole -- "./$1" "./$2" || { rm -f -- "./$1"; exit 1; }
  fi
}
bytes "$1"; first=$text
bytes "\${2-.}"; name=$text
case $op in
stat)
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  facts "./$name" ;;
stat_followed)
  enter "$first"; open_file "./$name"
  opened_facts ;;
list)
  enter "$first"
  [ -r . ] || denied
  find . -mindepth 1 -maxdepth 1 -type l -exec sh -c '
    for link; do printf "%s\\0" "$link"; readlink -n -- "$link"; printf "\\0"; done' sh {} + 2>/dev/null
  printf '\\0'
  listed '-maxdepth 1'
  exit 0 ;;
walk)
  enter "$first"
  printf '\\0'
  listed
  exit 0 ;;
archive)
  enter "$first"
  exec 5<&0
  tar -cf - . & sending=$!
  until_closed
  # 2 is what it ends with where it could not read everything.
  wait "$sending"; code=$?
  [ "$code" -gt 2 ] && exit "$code"
  exit 0 ;;
read) # folder, name, offset, length or -
  enter "$first"; [ -d "./$name" ] && { open_file "./$name"; exit ${EXIT.isDirectory}; }
  open_file "./$name"; [ -d /proc/self/fd/3 ] && exit ${EXIT.isDirectory}
  opened_facts || exit 1
  exec 5<&0
  send() {
    if [ "$1" -gt 0 ]; then tail -c "+$(($1 + 1))" <&3; else cat <&3; fi |
      if [ "$2" = - ]; then cat; else head -c "$2"; fi
  }
  send "$3" "$4" & sending=$!
  until_closed
  wait "$sending" ;;
readlink)
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  [ -L "./$name" ] || exit ${EXIT.notALink}
  readlink -n -- "./$name" ;;
write) # folder, name, temporary name, end mark, mode or -, rule, facts or -, parents (yes, no)
  if [ "$8" = yes ]; then enter_made "$first"; else enter "$first"; fi
  follow
  check "./$name" "$6" "$7"
  umask 022; set -C
  cat >"./$3" || { rm -f -- "./$3"; exit 1; }
  if [ "$(tail -c 32 -- "./$3")" != "$4" ]; then rm -f -- "./$3"; exit ${EXIT.incomplete}; fi
  size=$(($(wc -c <"./$3") - 32))
  dd if=/dev/null "of=./$3" bs=1 seek="$size" count=0 2>/dev/null || { rm -f -- "./$3"; exit 1; }
  mode=$5
  if [ "$mode" = - ] && [ -f "./$name" ] && [ ! -L "./$name" ]; then mode=$(mode_of "./$name"); fi
  [ "$mode" = - ] || chmod -- "$mode" "./$3"
  ( check "./$name" "$6" "$7" ) || { code=$?; rm -f -- "./$3"; exit "$code"; }
  exec 3<"./$3"
  land "$3" "$name" "$6"
  opened_facts ;;
append) # folder, name, -, -, mode or -, rule, facts or -, parents
  if [ "$8" = yes ]; then enter_made "$first"; else enter "$first"; fi
  follow
  check "./$name" "$6" "$7"
  if ! there "./$name"; then
    umask 022; set -C; : >"./$name" || exit 1; set +C
    [ "$5" = - ] || chmod -- "$5" "./$name"
  fi
  # Opened to be read first: to be written, a symlink out that is swapped in would make a file there.
  exec 3<"./$name" || exit 1
  inside "$(readlink /proc/self/fd/3)"
  cat >>/proc/self/fd/3 || exit 1
  opened_facts ;;
mkdir) # folder, name, mode or -, parents
  if [ "$4" = yes ]; then
    enter_made "$first"
    folder "./$name" && exit 0
    [ -d "./$name" ] && { enter "$first/$name"; exit 0; }
  else
    enter "$first"
  fi
  if there "./$name"; then
    [ "$4" = yes ] || exit ${EXIT.exists}
    [ -L "./$name" ] && inside "$(readlink -f -- "./$name")"
    exit ${EXIT.notDirectory}
  fi
  umask 022; mkdir -- "./$name" || exit 1
  [ "$3" = - ] || chmod -- "$3" "./$name" ;;
rename) # folder, name, folder, name, overwrite (yes, no)
  bytes "$4"; second=$text; bytes "$3"
  enter "$text"; exec 4<.
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  to=/proc/self/fd/4/$second
  if there "$to"; then
    [ "$5" = yes ] || exit ${EXIT.exists}
    if folder "$to"; then folder "./$name" || exit ${EXIT.isDirectory}
    else folder "./$name" && exit ${EXIT.notDirectory}; fi
  fi
  whole; mv -f$whole -- "./$name" "$to" ;;
copy) # folder, name, folder, name, overwrite, recursive (yes, no), temporary name
  bytes "$4"; second=$text; bytes "$3"
  enter "$text"; exec 4<.
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  folder "./$name" && [ "$6" = no ] && exit ${EXIT.isDirectory}
  to=/proc/self/fd/4/$second; temporary=/proc/self/fd/4/$7
  umask 0; whole
  if there "$to"; then
    [ "$5" = yes ] || exit ${EXIT.exists}
    if folder "$to"; then folder "./$name" || exit ${EXIT.isDirectory}
    else folder "./$name" && exit ${EXIT.notDirectory}; fi
  fi
  if folder "$to"; then # into what is there
    exec 5<"$to" 6<"./$name" || exit 1
    inside "$(readlink /proc/self/fd/5)"; inside "$(readlink /proc/self/fd/6)"
    cp -RPf -- /proc/self/fd/6/. /proc/self/fd/5/ || exit 1
  else
    cp -RP$whole -- "./$name" "$temporary" || { rm -rf -- "$temporary"; exit 1; }
    mv -f$whole -- "$temporary" "$to" || { rm -rf -- "$temporary"; exit 1; }
  fi
  find "./$name" -print0 | tr -dc '\\000' | wc -c ;;
remove) # folder, name, recursive (yes, no)
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  if folder "./$name"; then
    if [ "$3" = yes ]; then
      find "./$name" -print0 | tr -dc '\\000' | wc -c
      rm -rf -- "./$name"; exit
    fi
    rmdir -- "./$name" || exit 1
  else
    rm -f -- "./$name" || exit 1
  fi
  echo 1 ;;
chmod) # folder, name, mode
  enter "$first"; there "./$name" || exit ${EXIT.notFound}
  follow
  if [ -r "./$name" ] && { [ -f "./$name" ] || [ -d "./$name" ]; }; then
    open_file "./$name"; chmod -- "$3" /proc/self/fd/3
  else
    chmod -- "$3" "./$name"
  fi ;;
symlink) # folder, name, target
  enter "$first"; there "./$name" && exit ${EXIT.exists}
  bytes "$3"; ln -s -- "$text" "./$name" ;;
*) exit 2 ;;
esac
`;
