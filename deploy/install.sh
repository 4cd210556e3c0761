#!/bin/sh
# MemoryDB Explorer on a host: an environment of its own, a hardened service, upgrade in place, removal.
#
#   sh install.sh                        install or upgrade from the wheel beside this script
#   sh install.sh uninstall [--keep-data]
#
# Run it as root for the service. Nothing is written before everything that is given has been looked at.
set -eu

usage() {
  cat <<'END'
usage: install.sh [install|uninstall] [options]
  --wheel FILE        memdb_explorer-….whl; default: the one beside this script
  --constraints FILE  versions of all packages; default: constraints.txt beside this script
  --wheelhouse DIR    take packages from this folder alone; default: wheelhouse beside this script, if there
  --prefix DIR        where it goes; default: /opt/memdb-explorer
  --home DIR          MEMDB_HOME; default: /var/lib/memdb-explorer, with --prefix PREFIX/home
  --log DIR           folder of its log; default: /var/log/memdb-explorer, with --prefix PREFIX/log
  --unit-dir DIR      of the service file; default: /etc/systemd/system, with --prefix PREFIX/systemd
  --env FILE          variables of the service (MEMDB_URL=…), taken over as explorer.env
  --user NAME         who runs it; default: memdb, made if it is not there
  --port P            to listen on, of this machine; default: 8501
  --path PREFIX       that a proxy serves it under, e.g. /explorer/
  --python PYTHON     3.11, 3.12 or 3.13; default: the first of these that is there
  --no-start          write the service file, but neither enable nor start it
  --keep-data         uninstall: leave MEMDB_HOME
END
}

fail() {
  echo "install.sh: $1" >&2
  [ $# -lt 2 ] || echo "  $2" >&2
  exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
action=install wheel='' constraints='' wheelhouse='' prefix='' home='' log='' units='' env='' user=memdb
port=8501 path='' python='' start=yes keep=no
case "${1:-}" in install | uninstall) action=$1; shift ;; esac
while [ $# -gt 0 ]; do
  case "$1" in
    --no-start) start=no; shift; continue ;;
    --keep-data) keep=yes; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    --wheel | --constraints | --wheelhouse | --prefix | --home | --log | --unit-dir | --env | --user | --port | --path | --python) ;;
    *) usage >&2; fail "'$1' is no option." ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value."
  case "$1" in
    --wheel) wheel=$2 ;; --constraints) constraints=$2 ;; --wheelhouse) wheelhouse=$2 ;; --prefix) prefix=$2 ;;
    --home) home=$2 ;; --log) log=$2 ;; --unit-dir) units=$2 ;; --env) env=$2 ;; --user) user=$2 ;;
    --port) port=$2 ;; --path) path=$2 ;; --python) python=$2 ;;
  esac
  shift 2
done

# With --prefix everything lies under it, so that nothing outside is touched.
if [ -n "$prefix" ]; then
  case "$prefix" in /*) ;; *) fail "--prefix '$prefix' is no absolute path." ;; esac
  prefix=${prefix%/}
  : "${home:=$prefix/home}" "${log:=$prefix/log}" "${units:=$prefix/systemd}"
else
  prefix=/opt/memdb-explorer
  : "${home:=/var/lib/memdb-explorer}" "${log:=/var/log/memdb-explorer}" "${units:=/etc/systemd/system}"
fi
case "$prefix$home$log$units" in *[!A-Za-z0-9/._-]*) fail "Paths may hold letters, digits, . _ - and / only." ;; esac
for each in "$prefix" "$home" "$log"; do
  case "$each" in '' | / | /opt | /usr | /etc | /var | /home | /root | /var/lib | /var/log) fail "'$each' is no folder of its own." ;; esac
done
unit=$units/memdb-explorer.service

systemd() {
  # A service file elsewhere than systemd's is for somebody to look at.
  [ "$start" = yes ] && [ "$units" = /etc/systemd/system ] && command -v systemctl >/dev/null
}

if [ "$action" = uninstall ]; then
  [ -e "$prefix/installed" ] || fail "Nothing is installed in $prefix." "Name the place with --prefix."
  # What was chosen at the installation counts, whatever is said now.
  made_user=no
  . "$prefix/installed"
  unit=$units/memdb-explorer.service
  if systemd; then systemctl disable --now memdb-explorer.service || true; fi
  rm -f "$unit"
  if systemd; then systemctl daemon-reload; fi
  rm -rf "$prefix/current" "$prefix/releases" "$prefix/explorer.env" "$prefix/installed" "$log"
  [ "$keep" = yes ] || rm -rf "$home"
  rmdir "$units" 2>/dev/null || true
  rmdir "$prefix" 2>/dev/null || true
  if [ "$made_user" = yes ] && [ "$keep" = no ] && [ "$(id -u)" = 0 ]; then userdel "$user" 2>/dev/null || true; fi
  echo "Removed from $prefix."
  [ "$keep" = no ] || echo "Its data is still in $home."
  exit 0
fi

if [ -z "$wheel" ]; then
  for each in "$here"/memdb_explorer-*.whl; do
    [ -e "$each" ] || fail "There is no wheel beside $0." "Name one with --wheel."
    [ -z "$wheel" ] || fail "There are several wheels beside $0." "Name one with --wheel."
    wheel=$each
  done
fi
[ -f "$wheel" ] || fail "There is no wheel '$wheel'."
version=$(basename "$wheel" | sed -n 's/^memdb_explorer-\([0-9][^-]*\)-.*\.whl$/\1/p')
[ -n "$version" ] || fail "'$(basename "$wheel")' is no wheel of memdb-explorer."
: "${constraints:=$here/constraints.txt}"
[ -f "$constraints" ] || fail "There are no constraints '$constraints'." "make lock writes them."
[ -n "$wheelhouse" ] || { [ ! -d "$here/wheelhouse" ] || wheelhouse=$here/wheelhouse; }
[ -z "$wheelhouse" ] || [ -d "$wheelhouse" ] || fail "There is no folder '$wheelhouse'."
[ -z "$env" ] || [ -f "$env" ] || fail "There is no file '$env'."
[ -f "$here/memdb-explorer.service" ] || fail "memdb-explorer.service is not beside $0."
case "$port" in '' | *[!0-9]*) fail "--port '$port' is no number." ;; esac
case "$path" in *[!A-Za-z0-9/._-]*) fail "--path '$path' may hold letters, digits, . _ - and / only." ;; esac
case "$user" in '' | *[!a-z0-9_-]*) fail "--user '$user' is no name." ;; esac
if [ -z "$python" ]; then
  for each in python3.12 python3.13 python3.11 python3; do
    if command -v "$each" >/dev/null; then python=$each; break; fi
  done
fi
command -v "${python:-python3}" >/dev/null || fail "There is no '${python:-python3}'." "Name a Python with --python."
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
  || fail "'$python' is $("$python" --version 2>&1)." "Python 3.11, 3.12 or 3.13 is needed: --python python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "'$python' cannot make environments." "Install its venv package."
if [ -f "$home/version" ]; then
  kept=$(cat "$home/version")
  newest=$(printf '%s\n%s\n' "$version" "$kept" | sort -V | tail -n 1)
  [ "$newest" = "$version" ] || fail "The data in $home is of version $kept, and this wheel is $version." \
    "Take a wheel of $kept or later, or another --home."
fi
root=no
[ "$(id -u)" != 0 ] || root=yes
if ! id "$user" >/dev/null 2>&1; then
  [ "$root" = yes ] || fail "There is no user '$user'." "Run this as root, or name one with --user."
  command -v useradd >/dev/null || fail "There is no user '$user', and no useradd." "Name one with --user."
fi
[ -n "${PIP_INDEX_URL:-}" ] || unset PIP_INDEX_URL

# From here on it writes. What is made is taken away again where the installation fails.
made_user=no
[ ! -e "$prefix/installed" ] || made_user=$(sed -n 's/^made_user=//p' "$prefix/installed")
release=$prefix/releases/$version-$(date +%s)
fresh=yes
[ ! -e "$prefix/current" ] || fresh=no
undo() {
  rm -rf "$release"
  if [ "$fresh" = yes ]; then rmdir "$prefix/releases" "$prefix" 2>/dev/null || true; fi
}
trap 'undo; fail "Nothing was installed. What was there still is."' INT TERM HUP
mkdir -p "$prefix/releases"
set -- --quiet --constraint "$constraints"
[ -z "$wheelhouse" ] || set -- "$@" --no-index --find-links "$wheelhouse"
if command -v uv >/dev/null; then # in seconds where pip takes minutes
  [ -z "${PIP_INDEX_URL:-}" ] || set -- "$@" --index-url "$PIP_INDEX_URL"
  made=no
  uv venv --quiet --python "$python" "$release" \
    && uv pip install --python "$release/bin/python" "$@" "$wheel[login]" && made=yes
else
  made=no
  "$python" -m venv "$release" \
    && "$release/bin/python" -m pip install --disable-pip-version-check --no-input "$@" "$wheel[login]" && made=yes
fi
[ "$made" = yes ] || { undo; fail "The packages could not be installed." "See the message above. What was there still is."; }
"$release/bin/memdb" --version >/dev/null || { undo; fail "What was installed does not start." "What was there still is."; }
"$release/bin/python" -m pip uninstall --quiet --yes pip >/dev/null 2>&1 || true
trap - INT TERM HUP

if ! id "$user" >/dev/null 2>&1; then
  useradd --system --home-dir "$home" --no-create-home --shell /usr/sbin/nologin "$user"
  made_user=yes
fi
mkdir -p "$home" "$log" "$units"
chmod 700 "$home" "$log"
if [ -n "$env" ]; then cp "$env" "$prefix/explorer.env"; fi
[ -e "$prefix/explorer.env" ] || printf '# Variables of the service: memdb settings lists them.\nMEMDB_LOG=json\n' >"$prefix/explorer.env"
chmod 640 "$prefix/explorer.env"
if [ "$root" = yes ]; then
  chown -R "$user" "$home" "$log"
  chgrp "$(id -g "$user")" "$prefix/explorer.env"
fi
serve=''
[ -z "$path" ] || serve="--path $path"
sed -e "s|@USER@|$user|g" -e "s|@HOME@|$home|g" -e "s|@PREFIX@|$prefix|g" -e "s|@PORT@|$port|g" \
  -e "s|@LOG@|$log|g" -e "s|@SERVE@|$serve|g" "$here/memdb-explorer.service" >"$unit"
ln -sfn "$release" "$prefix/current.new"
mv -T "$prefix/current.new" "$prefix/current" 2>/dev/null || { rm -f "$prefix/current"; mv "$prefix/current.new" "$prefix/current"; }
printf 'home=%s\nlog=%s\nunits=%s\nuser=%s\nmade_user=%s\n' "$home" "$log" "$units" "$user" "$made_user" >"$prefix/installed"
if systemd; then
  systemctl daemon-reload
  systemctl enable --quiet memdb-explorer.service
  systemctl restart memdb-explorer.service
fi
for each in "$prefix"/releases/*; do
  [ "$each" = "$release" ] || rm -rf "$each"
done
echo "memdb-explorer $version is in $prefix."
if systemd; then echo "It runs: http://localhost:$port$path"; else echo "The service file is $unit."; fi
