#!/bin/sh
# Installs hoop-lite: one static binary, and on request a service that runs it.
#
#   curl --proto '=https' --tlsv1.2 -fsSL BASE_URL/vVERSION/install.sh | sh
#   curl ... | sh -s -- --service
#   sh install.sh --base-url FOLDER --prefix ~/.local
#
# Everything is in functions and the last line starts them, so a download that was cut does nothing.
# Runs in dash, busybox ash and bash. `sh install.sh --help` lists the options.

# Set in the copy that a release publishes; empty in the source tree.
release_version=
release_base_url=

usage() {
    cat <<'EOF'
Installs hoop-lite.

  --version V      this release (default: the newest of the base URL)
  --prefix DIR     the binary goes to DIR/bin (default: /usr/local if it can be written, else ~/.local)
  --base-url URL   where releases are: https://..., file://... or a folder (or HOOP_LITE_BASE_URL)
  --service        install, enable and start a systemd or OpenRC service too; needs root
  --key-file FILE  take the key from FILE (or HOOP_KEY, HOOP_KEY_FILE; else it is asked on the terminal)
  --new-key        replace the key that an earlier --service kept
  --uninstall      remove the binary, its pages and the service; settings and key stay
  --purge          with --uninstall: remove settings, key and the service's state as well
  --help           this text

The key is never an argument: other users could read it in the list of processes.
DESTDIR=DIR puts every file below DIR and starts nothing (for building images).
EOF
}

main() {
    set -eu
    umask 022
    version=$release_version prefix='' base_url=${HOOP_LITE_BASE_URL:-$release_base_url}
    service=no key_file=${HOOP_KEY_FILE:-} new_key=no action=install purge=no
    destdir=${DESTDIR:-} work='' partial=''
    read_arguments "$@"

    config_dir=$destdir/etc/hoop-lite
    env_file=$config_dir/env
    unit=$destdir/etc/systemd/system/hoop-lite.service
    init_script=$destdir/etc/init.d/hoop-lite

    choose_prefix
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$action" = uninstall ]; then
        uninstall
    else
        install_release
    fi
}

read_arguments() {
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
        --version=* | --prefix=* | --base-url=* | --key-file=*)
            value=${option#*=}
            option=${option%%=*}
            ;;
        --version | --prefix | --base-url | --key-file)
            [ $# -gt 0 ] || usage_error "$option needs a value"
            value=$1
            shift
            ;;
        esac
        case $option in
        --version) version=${value#v} ;;
        --prefix) prefix=$value ;;
        --base-url) base_url=$value ;;
        --key-file) key_file=$value ;;
        --service) service=yes ;;
        --new-key) new_key=yes ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        --key | --key=* | --token | --token=*)
            usage_error "a key is never an argument: use --key-file, HOOP_KEY or the terminal"
            ;;
        *) usage_error "$option is not an option" ;;
        esac
    done
    if [ "$purge" = yes ] && [ "$action" = install ]; then
        usage_error "--purge goes with --uninstall"
    fi
    case $version in
    *[!0-9A-Za-z.+-]*) usage_error "--version $version is not a version" ;;
    esac
}

choose_prefix() {
    if [ -z "$prefix" ]; then
        prefix=/usr/local
        if ! can_write "$destdir$prefix/bin"; then
            [ -n "${HOME:-}" ] || fail "/usr/local cannot be written and HOME is not set: use --prefix DIR"
            prefix=$HOME/.local
            [ "$action" = uninstall ] ||
                say "/usr/local/bin cannot be written: installing for this user, to $prefix/bin"
        fi
    fi
    case $prefix in
    /*) ;;
    *) prefix=$(pwd)/$prefix ;;
    esac
    prefix=${prefix%/}
    bin=$destdir$prefix/bin
}

# --- installing ---------------------------------------------------------------------------------

install_release() {
    [ -n "$base_url" ] || usage_error \
        "no base URL: set HOOP_LITE_BASE_URL or --base-url to where the releases are (a folder will do)"
    [ "$service" = no ] || find_service_manager
    can_write "$bin" || fail "$bin cannot be written: use --prefix DIR, or run this as a user who can"
    architecture=$(detect_architecture)
    find_checksum_tool
    work=$(mktemp -d "${TMPDIR:-/tmp}/hoop-lite.XXXXXX") || fail "no temporary folder in ${TMPDIR:-/tmp}"
    if [ -z "$version" ]; then
        fetch latest/VERSION "$work/VERSION"
        version=$(head -n 1 "$work/VERSION")
        case $version in
        '' | *[!0-9A-Za-z.+-]*) fail "$base_url/latest/VERSION does not hold a version" ;;
        esac
    fi
    name=hoop-lite-$version-$architecture
    say "installing hoop-lite $version for $architecture"
    fetch "v$version/SHA256SUMS" "$work/SHA256SUMS"
    fetch "v$version/$name.tar.gz" "$work/$name.tar.gz"
    verify "$name.tar.gz"
    gzip -dc "$work/$name.tar.gz" | tar -xf - -C "$work" || fail "$name.tar.gz cannot be unpacked"
    [ -f "$work/$name/hoop-lite" ] || fail "$name.tar.gz holds no hoop-lite"

    [ "$service" = no ] || read_key
    place 755 "$work/$name/hoop-lite" "$bin/hoop-lite" try_binary
    each_page place_page
    say "installed $bin/hoop-lite"
    case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) [ -n "$destdir" ] || say "note: $prefix/bin is not in PATH; add it: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
    if [ "$service" = yes ]; then
        install_service
    else
        [ -n "$destdir" ] || say "next: HOOP_KEY=... $bin/hoop-lite doctor, or run this again with --service"
    fi
}

detect_architecture() {
    system=$(uname -s)
    machine=$(uname -m)
    [ "$system" = Linux ] || fail "no release for $system: Linux on x86_64, aarch64, armv7 only"
    case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    armv7*) machine=armv7 ;;
    riscv64) machine=riscv64 ;;
    *) fail "no release for $machine: Linux on x86_64, aarch64, armv7, riscv64 only" ;;
    esac
    # A 64-bit kernel may run a 32-bit system, whose programs are what counts.
    if [ "$(getconf LONG_BIT 2>/dev/null || echo unknown)" = 32 ]; then
        case $machine in
        x86_64) fail "no release for 32-bit x86 systems: Linux on x86_64, aarch64, armv7, riscv64 only" ;;
        aarch64) machine=armv7 ;;
        esac
    fi
    echo "$machine"
}

# fetch PATH FILE: PATH is relative to the base URL.
fetch() {
    source_path=${base_url%/}/$1
    case $source_path in
    https://*)
        if has curl; then
            curl --proto '=https' --tlsv1.2 -fsSL --retry 3 --connect-timeout 20 -o "$2" "$source_path" ||
                fail "cannot fetch $source_path"
        elif has wget && wget --help 2>&1 | grep -q -e --https-only; then
            wget --https-only --secure-protocol=TLSv1_2 -q --tries=3 --timeout=20 -O "$2" "$source_path" ||
                fail "cannot fetch $source_path"
        elif has wget; then
            # busybox: it checks no certificates, so the checksum list it brings proves nothing.
            fail "curl or GNU wget is needed for https (this wget cannot check certificates)"
        else
            fail "curl or GNU wget is needed"
        fi
        ;;
    file://*) copy "${source_path#file://}" "$2" ;;
    *://*) fail "$base_url is neither https:// nor file:// nor a folder; nothing is fetched without TLS" ;;
    *) copy "$source_path" "$2" ;;
    esac
}

copy() {
    [ -f "$1" ] || fail "there is no $1"
    cat "$1" >"$2" || fail "cannot read $1"
}

find_checksum_tool() {
    if has sha256sum; then
        checksum='sha256sum'
    elif has shasum; then
        checksum='shasum -a 256'
    elif has openssl; then
        checksum='openssl dgst -sha256 -r'
    else
        fail "sha256sum, shasum or openssl is needed to check the download"
    fi
}

verify() {
    wanted=$(awk -v name="$1" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
    case $wanted in
    ????????????????????????????????????????????????????????????????) ;;
    *) fail "SHA256SUMS names no checksum of $1; nothing was installed" ;;
    esac
    found=$($checksum "$work/$1" | cut -d ' ' -f 1)
    [ "$found" = "$wanted" ] || fail "the checksum of $1 is wrong: cut or changed on its way; nothing was installed
  wanted $wanted
  found  $found"
}

# place MODE FROM TO [CHECK]: never a half-written file at TO, also while the old one runs.
place() {
    mkdir -p "$(dirname "$3")"
    partial=$(dirname "$3")/.$(basename "$3").new.$$
    cat "$2" >"$partial" || fail "cannot write $partial"
    chmod "$1" "$partial"
    [ -z "${4:-}" ] || "$4" "$partial"
    mv -f "$partial" "$3" || fail "cannot replace $3"
    partial=''
}

try_binary() {
    if [ -z "$destdir" ] && ! "$1" version >/dev/null 2>&1; then
        fail "the new binary does not run in $bin (mounted noexec?); the old state is kept"
    fi
}

# Calls a function for the man page and the completions: `from` in the archive, `to` below the prefix.
each_page() {
    while read -r from to; do
        "$1"
    done <<'EOF'
hoop-lite.1 share/man/man1/hoop-lite.1
completions/hoop-lite.bash share/bash-completion/completions/hoop-lite
completions/_hoop-lite share/zsh/site-functions/_hoop-lite
completions/hoop-lite.fish share/fish/vendor_completions.d/hoop-lite.fish
EOF
}

place_page() {
    if [ -f "$work/$name/$from" ] && mkdir -p "$(dirname "$destdir$prefix/$to")" 2>/dev/null; then
        place 644 "$work/$name/$from" "$destdir$prefix/$to"
    fi
}

remove_page() {
    remove "$destdir$prefix/$to"
}

# --- the service --------------------------------------------------------------------------------

find_service_manager() {
    if [ -z "$destdir" ] && [ "$(id -u)" != 0 ]; then
        fail "--service needs root; without it, start hoop-lite by your own means"
    fi
    if [ -d "$destdir/run/systemd/system" ] || { [ -n "$destdir" ] && [ -d "$destdir/etc/systemd" ]; }; then
        manager=systemd
    elif [ -x "$destdir/sbin/openrc-run" ]; then
        manager=openrc
    else
        fail "neither systemd nor OpenRC runs here: install without --service and start hoop-lite by your own means"
    fi
}

# Sets `key`, empty when the one that is there stays.
read_key() {
    key=''
    if has_key && [ "$new_key" = no ]; then
        say "the key in $env_file is kept (--new-key replaces it)"
        return 0
    fi
    if [ -n "${HOOP_KEY:-}" ]; then
        key=$HOOP_KEY
    elif [ -n "$key_file" ]; then
        [ -r "$key_file" ] || fail "$key_file cannot be read"
        key=$(cat "$key_file")
    elif (: </dev/tty) 2>/dev/null; then
        ask_key
    else
        say "no key was given: put it in $env_file, then start the service"
        return 0
    fi
    # What editors leave around it: line ends of Windows, blanks, a blank line in front.
    key=$(printf '%s\n' "$key" | sed -n '/[^[:space:]]/{s/^[[:space:]]*//;s/[[:space:]]*$//;p;q;}')
    case $key in
    '') fail "the key is empty" ;;
    "$(printf '\357\273\277')"*) fail "a byte order mark stands in front of the key: save the file as UTF-8 without BOM" ;;
    *HOOP_KEY=*) fail "HOOP_KEY= is part of the key: give what follows the = only" ;;
    # It would end the quotes that it is kept in.
    *\'*) fail "the key holds a quote, which no key has" ;;
    esac
    judge_key
}

# The binary to be installed knows what a key is; the first check of its doctor reads it.
judge_key() {
    verdict=$(HOOP_KEY=$key "$work/$name/hoop-lite" doctor 2>/dev/null | sed -n '1{s/^FAIL  key *[0-9]* ms  //p;q;}') || :
    [ -z "$verdict" ] || fail "$verdict"
}

ask_key() {
    printf 'key (HOOP_KEY, not shown): ' >/dev/tty
    terminal=$(stty -g </dev/tty)
    stty -echo </dev/tty
    read -r key </dev/tty || key=''
    stty "$terminal" </dev/tty
    terminal=''
    printf '\n' >/dev/tty
}

has_key() {
    [ -f "$env_file" ] && grep -q "^HOOP_KEY='\{0,1\}[^']" "$env_file"
}

# The file is made readable by root alone before the key is in it; printf is part of the shell.
write_env() {
    if [ -z "$key" ] && [ -f "$env_file" ]; then
        return 0
    fi
    mkdir -p "$config_dir"
    chmod 755 "$config_dir"
    partial=$config_dir/.env.new.$$
    (
        umask 077
        {
            printf "HOOP_KEY='%s'\n" "$key"
            if [ -f "$env_file" ]; then
                grep -v '^HOOP_KEY=' "$env_file" || :
            else
                first_settings
            fi
        } >"$partial"
    )
    chmod 600 "$partial"
    mv -f "$partial" "$env_file"
    partial=''
}

first_settings() {
    cat <<'EOF'
# Settings of hoop-lite, see hoop-lite(1). Kept on upgrades. Restart the service after a change.
#HOOP_TLSCA=file:///etc/hoop-lite/ca.pem
#HOOP_LITE_HEALTH_LISTEN=127.0.0.1:8686
#HTTPS_PROXY=http://proxy:3128
#LOG_LEVEL=info
EOF
}

install_service() {
    write_env
    case $manager in
    systemd) template=hoop-lite.service service_file=$unit mode=644 ;;
    openrc) template=hoop-lite.openrc service_file=$init_script mode=755 ;;
    esac
    sed "s|/usr/local/bin/hoop-lite|$prefix/bin/hoop-lite|g" "$work/$name/deploy/$template" >"$work/service"
    place "$mode" "$work/service" "$service_file"
    [ -z "$destdir" ] || return 0
    if [ "$manager" = systemd ]; then
        systemctl daemon-reload
        systemctl --quiet enable hoop-lite.service
    else
        make_user
        rc-update -q add hoop-lite default
    fi
    if ! has_key; then
        say "the service is installed but not started: it has no key yet"
        return 0
    fi
    if [ "$manager" = systemd ]; then
        systemctl restart hoop-lite.service
        say "started; see: systemctl status hoop-lite, journalctl -u hoop-lite"
    else
        rc-service hoop-lite restart
        say "started; see: rc-service hoop-lite status, /var/log/hoop-lite.log"
    fi
}

make_user() {
    id hoop-lite >/dev/null 2>&1 && return 0
    if has useradd; then
        useradd --system --user-group --home-dir /var/lib/hoop-lite --shell /sbin/nologin hoop-lite
    else
        addgroup -S hoop-lite
        adduser -S -D -H -h /var/lib/hoop-lite -s /sbin/nologin -G hoop-lite hoop-lite
    fi
}

# --- removing -----------------------------------------------------------------------------------

uninstall() {
    [ ! -e "$bin/hoop-lite" ] || can_write "$bin" || fail "$bin cannot be written: run this as a user who can"
    if [ -z "$destdir" ] && [ "$(id -u)" != 0 ] && { [ -e "$unit" ] || [ -e "$init_script" ]; }; then
        say "note: the service is root's and stays; run this as root to remove it"
    else
        remove_service
    fi
    remove "$bin/hoop-lite"
    each_page remove_page
    if [ "$purge" = yes ]; then
        for folder in "$config_dir" "$destdir/var/lib/hoop-lite" "$destdir/var/lib/private/hoop-lite" \
            "$destdir/var/log/hoop-lite.log"; do
            if [ -e "$folder" ] || [ -L "$folder" ]; then
                rm -rf "$folder"
                say "removed $folder"
            fi
        done
    elif [ -d "$config_dir" ]; then
        say "kept $config_dir with the key (--purge removes it)"
    fi
}

remove_service() {
    if [ -e "$unit" ]; then
        [ -n "$destdir" ] || systemctl --quiet disable --now hoop-lite.service || :
        remove "$unit"
        [ -n "$destdir" ] || systemctl daemon-reload
    fi
    if [ -e "$init_script" ]; then
        [ -n "$destdir" ] || rc-service hoop-lite stop || :
        [ -n "$destdir" ] || rc-update -q delete hoop-lite default || :
        remove "$init_script"
    fi
}

remove() {
    if [ -e "$1" ]; then
        rm -f "$1" || fail "cannot remove $1"
        say "removed $1"
    fi
}

# --- small things -------------------------------------------------------------------------------

# Can files be put into this folder, or can it be made?
can_write() {
    folder=$1
    while [ ! -e "$folder" ]; do
        folder=$(dirname "$folder")
    done
    [ -d "$folder" ] || return 1
    # Asked by doing it: root's answer from `test -w` is wrong on a read-only file system.
    (: >"$folder/.hoop-lite.probe.$$") 2>/dev/null || return 1
    rm -f "$folder/.hoop-lite.probe.$$"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

say() {
    printf '%s\n' "$*"
}

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

usage_error() {
    printf 'install.sh: %s\n(--help lists the options)\n' "$*" >&2
    exit 2
}

clean_up() {
    [ -z "${terminal:-}" ] || stty "$terminal" </dev/tty
    [ -z "$partial" ] || rm -f "$partial"
    [ -z "$work" ] || rm -rf "$work"
}

# Cut anywhere before its closing brace, this line does not parse, and nothing happens.
{ main "$@"; }
