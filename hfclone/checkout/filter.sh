#!/bin/sh
# Git's filter for large files where git-lfs is not at hand: `filter.sh clean|smudge PATH`; with `-empty` behind
# either, for pointers of no bytes, also where it is: git-lfs makes nothing of an empty file, which git calls changed.
#
# Written by hfclone, of which it needs nothing. clean makes a file's content its pointer, so that git
# takes an untouched file for clean and a new version is committed as a pointer, never as content.
# smudge makes a pointer the content if .git/lfs/objects has it, and else leaves the pointer.
set -fu
LC_ALL=C
export LC_ALL
verb=${1%-empty} of_empty=${1#"${1%-empty}"} path=${2-} here=$(dirname -- "$0")

# Installed and set up since: git-lfs also stores what it cleans.
has_lfs() {
    [ -n "$(git config --get filter.lfs.process)" ] && command -v git-lfs >/dev/null 2>&1
}
[ -n "$of_empty" ] || ! has_lfs || exec git-lfs "$verb" -- "$path"

# The first 1,024 bytes as octal words: a shell cannot hold NULs. A byte at a time, as dd alone
# never reads more of a pipe than it was asked for.
# shellcheck disable=SC2046
set -- $(dd bs=1 count=1024 2>/dev/null | od -An -v -to1)

replay() {
    # shellcheck disable=SC2059
    [ $# -eq 0 ] || printf "$(printf '\\%s' "$@")"
}

is_pointer() {
    [ $# -lt 1024 ] || return 1
    case "$*" in
    "166 145 162 163 151 157 156 040 150 164 164 160 "*) return 0 ;; # version http
    esac
    return 1
}

digest() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256
    else
        openssl dgst -sha256 -r
    fi
}

clean() {
    both=$({ { { replay "$@" && cat; } | tee /dev/fd/4 | wc -c >&3; } 4>&1 | digest; } 3>&1)
    oid='' size=''
    for word in $both; do
        case $word in
        *[!0-9a-f]*) ;; # file names, as the programs have them
        *) if [ ${#word} -eq 64 ]; then oid=$word; else size=$word; fi ;;
        esac
    done
    # Of nothing: then tee could not reach the second reader.
    empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    if [ -z "$oid" ] || [ -z "$size" ] || [ "$oid" = $empty ]; then
        echo "hfclone: cannot make a pointer of $path: no sha256sum, shasum or openssl that works" >&2
        exit 1
    fi
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "$oid" "$size"
}

stored() {
    [ "${GIT_LFS_SKIP_SMUDGE-}" != 1 ] || return 1
    oid=$(replay "$@" | sed -n 's/^oid sha256:\([0-9a-f]*\).*/\1/p')
    size=$(replay "$@" | sed -n 's/^size \([0-9]*\).*/\1/p')
    [ ${#oid} -eq 64 ] || return 1
    rest=${oid#??}
    object=$here/../lfs/objects/${oid%"$rest"}/${rest%"${rest#??}"}/$oid
    [ -f "$object" ] && [ "$(($(wc -c <"$object")))" = "$size" ]
}

if [ -n "$of_empty" ]; then
    # What is staged tells which pointer of no bytes it is: they have more forms than one.
    if [ "$verb" = clean ] && [ $# -eq 0 ]; then
        ! git cat-file blob ":0:$path" 2>/dev/null | grep -qx "size 0" || exec git cat-file blob ":0:$path"
    elif [ "$verb" = smudge ] && is_pointer "$@" && replay "$@" | grep -qx "size 0"; then
        exit 0
    fi
    if has_lfs; then
        { replay "$@" && cat; } | git-lfs "$verb" -- "$path"
        exit
    fi
fi

case $verb in
clean)
    if [ $# -eq 0 ] || is_pointer "$@"; then replay "$@"; else clean "$@"; fi
    ;;
smudge)
    if is_pointer "$@" && stored "$@"; then exec cat -- "$object"; fi
    replay "$@" && exec cat
    ;;
*)
    exit 2
    ;;
esac
