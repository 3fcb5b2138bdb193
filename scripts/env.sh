# Sourced by the scripts beside it: the clone's root, Debian packages where they are missing, and a
# virtual environment in .venv. PYTHON=... says which Python makes it (default: python3).
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps nginx, and where not every user looks

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$@"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# need COMMAND:PACKAGE...: install the Debian packages whose commands are missing.
need() {
    local pair packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    install_packages "${packages[@]}"
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || die "still no ${pair%%:*} after installing ${pair#*:}"
    done
}

install_packages() {
    command -v apt-get >/dev/null ||
        die "please install $* by hand: this is no Debian or Ubuntu (no apt-get)"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        die "please install as root: apt-get install $* (this user is not root, and there is no sudo)"
    say "installing from Debian: $*"
    as_root apt-get update -qq || say "apt-get update failed; trying with the lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install: $*"
    case " $* " in
    *" nginx"*) stop_nginx ;;
    esac
}

# Debian starts what it installs; the tests start an nginx of their own and need no other.
stop_nginx() {
    if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet --now nginx || true
    elif command -v service >/dev/null; then
        as_root service nginx stop >/dev/null 2>&1 || true
    fi
}

# environment [EXTRA]: .venv holds this clone, editable, with that extra of setup.cfg. Quick if it does already.
environment() {
    local extra=${1:-} wanted
    make_venv
    wanted=$(cat "$root/setup.cfg" "$root/setup.py" | cksum)
    [ "$(cat "$venv/.installed-$extra" 2>/dev/null)" = "$wanted" ] && return
    say "installing hfclone${extra:+[$extra]} into .venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --use-pep517 -e "$root${extra:+[$extra]}" ||
        die "pip could not install hfclone${extra:+[$extra]}"
    printf '%s\n' "$wanted" >"$venv/.installed-$extra"
    printf '%s\n' "$wanted" >"$venv/.installed-"
}

make_venv() {
    local python=${PYTHON:-python3} maker
    if [ -z "${PYTHON:-}" ] && [ "$(sed 1q "$venv/.root" 2>/dev/null)" = "$root" ] && "$venv/bin/python" -c ''; then
        return # made here, and its Python is still there
    fi
    command -v "$python" >/dev/null || die "no $python: install Python 3.10 or newer, or say PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "$python is $("$python" -V 2>&1); hfclone needs 3.10 or newer: say PYTHON=/path/to/python3"
    maker=$("$python" -c 'import sys; print(sys.executable, *sys.version_info[:3])')
    [ "$(cat "$venv/.root" 2>/dev/null)" = "$root"$'\n'"$maker" ] && "$venv/bin/python" -c '' && return
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    say "making .venv with $("$python" -V)"
    "$python" -m venv --clear "$venv" || die "$python -m venv failed"
    printf '%s\n%s\n' "$root" "$maker" >"$venv/.root"
}
