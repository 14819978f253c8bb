#!/bin/sh
# Installs hoop-lite: one static binary, and on request a service that runs it.
#
#   curl --proto '=https' --tlsv1.2 -fsSL BASE_URL/vVERSION/install.sh | sh
#   curl ... | sh -s -- --service
#   sh install.sh --base-url FOLDER --prefix ~/.local
#
# Everything is in functions and the last line starts them, so a download that was cut does nothing.
# Runs in dash, busybox ash and bash. `sh install.sh --help` lists the options.

# Set in the copy that a release publishes (scripts/pack-release); empty in the source tree.
release_version=
release_base_url=
release_public_key=

usage() {
    cat <<'EOF'
Installs hoop-lite.

  --version V      this release (default: the newest of the base URL)
  --prefix DIR     the binary goes to DIR/bin (default: /usr/local if it can be written, else ~/.local)
  --base-url URL   where releases are: https://..., file://... or a folder (or HOOP_LITE_BASE_URL)
  --service        install, enable and start a systemd or OpenRC service too; needs root
  --key-file FILE  take the key from FILE (or HOOP_KEY, HOOP_KEY_FILE; else it is asked on the terminal)
  --new-key        ask for a key also where an earlier --service left one
  --force          replace a kept key by the one that is given without asking
  --public-key KEY the release must be signed with it (minisign; or HOOP_LITE_PUBLIC_KEY)
  --uninstall      remove the binary, its pages and the service; settings and key stay
  --purge          with --uninstall: remove settings, key and the service's state as well
  --help           this text

The key is never an argument, nor one of sudo's: other users could read it in the list of processes, and
sudo logs it. With sudo: --key-file, the prompt, or sudo --preserve-env=HOOP_KEY.
With --service, HOOP_TLSCA, HTTPS_PROXY, HOOP_LITE_* and the like go from the environment into the service's
settings. DESTDIR=DIR puts every file below DIR and starts nothing (for building images).
Exit status: 0 done, 1 failed, 2 wrong usage, 3 installed, but the service is not connected.
EOF
}

main() {
    set -eu
    umask 022
    version=$release_version prefix='' base_url=${HOOP_LITE_BASE_URL:-$release_base_url}
    public_key=${HOOP_LITE_PUBLIC_KEY:-$release_public_key} signature_wanted=${HOOP_LITE_PUBLIC_KEY:+yes}
    service=no key_file=${HOOP_KEY_FILE:-} new_key=no force=no action=install purge=no
    destdir=${DESTDIR:-} work='' partial='' removed=no
    read_arguments "$@"

    config_dir=$destdir/etc/hoop-lite
    env_file=$config_dir/env
    log_file=$destdir/var/log/hoop-lite.log
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
        --version=* | --prefix=* | --base-url=* | --key-file=* | --public-key=*)
            value=${option#*=}
            option=${option%%=*}
            ;;
        --version | --prefix | --base-url | --key-file | --public-key)
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
        --public-key) public_key=$value signature_wanted=yes ;;
        --service) service=yes ;;
        --new-key) new_key=yes ;;
        --force) force=yes ;;
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
    check_signature
    fetch "v$version/$name.tar.gz" "$work/$name.tar.gz"
    verify "$name.tar.gz"
    gzip -dc "$work/$name.tar.gz" | tar -xf - -C "$work" || fail "$name.tar.gz cannot be unpacked"
    [ -f "$work/$name/hoop-lite" ] || fail "$name.tar.gz holds no hoop-lite"

    if [ "$service" = yes ]; then
        read_key
        read_settings
    fi
    old_version=$(version_of "$bin/hoop-lite")
    place 755 "$work/$name/hoop-lite" "$bin/hoop-lite" try_binary
    each_page place_page
    tell_what_was_placed
    if [ "$service" = yes ]; then
        install_service
    else
        [ -n "$destdir" ] || tell_what_is_next
    fi
}

# Of a program that is there: the second word of what its `version` says. Nothing of another root is run.
version_of() {
    [ -z "$destdir" ] && [ -x "$1" ] || return 0
    answer=$("$1" version 2>/dev/null | head -n 1) || :
    case $answer in
    hoop-lite\ *) echo "$answer" | cut -d ' ' -f 2 ;;
    *) echo "of an unknown version" ;;
    esac
}

tell_what_was_placed() {
    if [ -z "$old_version" ]; then
        say "installed hoop-lite $version: $bin/hoop-lite"
    elif [ "$old_version" = "$version" ]; then
        say "installed hoop-lite $version again: $bin/hoop-lite"
    else
        say "hoop-lite $old_version was replaced by $version: $bin/hoop-lite"
    fi
    case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) [ -n "$destdir" ] || say "note: $prefix/bin is not in PATH; add it: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
}

# Without --service nothing is restarted, since that ends sessions; what runs on is said.
tell_what_is_next() {
    if service_runs; then
        say "note: the service still runs the old hoop-lite: $restart (it ends its sessions in order)"
        return 0
    fi
    old=''
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/exe" 2>/dev/null)" = "$bin/hoop-lite (deleted)" ]; then
            old="$old ${process#/proc/}"
        fi
    done
    if [ -n "$old" ]; then
        say "note: the old hoop-lite still runs, as process$old: stop and start it"
    elif [ -z "$old_version" ]; then
        say "next: put the key into HOOP_KEY, or its file's name into HOOP_KEY_FILE, and run hoop-lite doctor;"
        say "      or run this again with --service"
    fi
}

# Does a service run the program that was replaced? Sets `restart`.
service_runs() {
    if [ -e "$unit" ] && grep -q "^ExecStart=$prefix/bin/hoop-lite " "$unit"; then
        restart="systemctl restart hoop-lite"
        systemctl is-active --quiet hoop-lite.service
    elif [ -e "$init_script" ] && grep -q "^command=\"$prefix/bin/hoop-lite\"" "$init_script"; then
        restart="rc-service hoop-lite restart"
        rc-service -q hoop-lite status >/dev/null 2>&1
    else
        return 1
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

# The signature says who made the checksums; the checksums alone, that nothing was cut on its way.
check_signature() {
    [ -n "$public_key" ] || return 0
    if ! has minisign; then
        [ -z "$signature_wanted" ] || fail "minisign is needed to check the signature that --public-key asks for"
        say "note: minisign is not installed, so the signature of the release is not checked"
        return 0
    fi
    fetch "v$version/SHA256SUMS.minisig" "$work/SHA256SUMS.minisig"
    minisign -V -q -P "$public_key" -m "$work/SHA256SUMS" -x "$work/SHA256SUMS.minisig" >/dev/null 2>&1 ||
        fail "SHA256SUMS is not signed with the key $public_key: changed on its way, or another's; nothing was installed"
    say "the signature of the release is right"
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
    make_partial "$(dirname "$3")"
    cat "$2" >"$partial" || fail "cannot write $partial"
    chmod "$1" "$partial"
    [ -z "${4:-}" ] || "$4" "$partial"
    mv -f "$partial" "$3" || fail "cannot replace $3"
    partial=''
}

# A new file that only we can read, with a name that nobody can have put there before.
make_partial() {
    partial=$(mktemp "$1/.hoop-lite.XXXXXX") || fail "$1 cannot be written"
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

# Sets `key`, empty when the one that is there stays. Nothing is installed yet.
read_key() {
    key=''
    warn_of_arguments
    if [ -n "${HOOP_KEY:-}" ]; then
        key=$HOOP_KEY
    elif [ -n "$key_file" ]; then
        [ -r "$key_file" ] || fail "$key_file cannot be read"
        key=$(cat "$key_file")
    elif has_key && [ "$new_key" = no ]; then
        say "the key in $env_file is kept (--new-key or --key-file replaces it)"
        return 0
    elif has_terminal; then
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
    compare_with_kept_key
}

# `sudo HOOP_KEY=... sh install.sh` shows the key in the list of processes, and sudo logs it.
warn_of_arguments() {
    [ -n "${HOOP_KEY:-}" ] && [ -r "/proc/$PPID/cmdline" ] || return 0
    if tr '\0' '\n' <"/proc/$PPID/cmdline" | grep -q '^HOOP_KEY='; then
        say "warning: the key stood in the arguments of sudo, which others can read and sudo logs. Make a new one and"
        say "         give it by --key-file, by the prompt, or by sudo --preserve-env=HOOP_KEY"
    fi
}

# Another key than the one that is kept replaces it, but not unasked.
compare_with_kept_key() {
    has_key || return 0
    kept=$(sed -n "s/^HOOP_KEY=//p" "$env_file" | sed "s/^['\"]//;s/['\"]\$//")
    if [ "$key" = "$kept" ]; then
        say "the key in $env_file is this one already"
        key=''
    elif [ "$force" = yes ] || [ "$new_key" = yes ]; then
        say "the key of $(agent_of "$kept") in $env_file is replaced by that of $(agent_of "$key")"
    elif has_terminal; then
        printf 'replace the key of %s in %s by that of %s? [y/N] ' \
            "$(agent_of "$kept")" "$env_file" "$(agent_of "$key")" >/dev/tty
        read -r answer </dev/tty || answer=''
        case $answer in
        [yY]*) ;;
        *)
            say "the key in $env_file is kept"
            key=''
            ;;
        esac
    else
        fail "another key, of $(agent_of "$kept"), is in $env_file: --force replaces it, and without HOOP_KEY and --key-file it is kept; nothing was installed"
    fi
}

# The name in a key, which is no secret.
agent_of() {
    case $1 in
    *://*:*@*) printf '%s\n' "$1" | sed 's|^[^:]*://\([^:@/]*\):.*|\1|;s|[^A-Za-z0-9_.-]|?|g' ;;
    *) echo "another agent" ;;
    esac
}

has_terminal() {
    (: </dev/tty) 2>/dev/null
}

# What configures the agent goes from our environment into the service's, as NAME='VALUE' lines of
# `$work/settings`. Nothing is installed yet.
read_settings() {
    : >"$work/settings"
    HTTPS_PROXY=${HTTPS_PROXY:-${https_proxy:-}} NO_PROXY=${NO_PROXY:-${no_proxy:-}}
    for variable in HOOP_TLSCA HOOP_TLSSERVERNAME HOOP_TLS_SKIP_VERIFY HOOP_GRPCURL HOOP_GRPC_INSECURE \
        HOOP_SPIFFE_KEY_FILE HOOP_SPIFFE_NAME HTTPS_PROXY NO_PROXY LOG_LEVEL LOG_ENCODING \
        $(env | sed -n 's/^\(HOOP_LITE_[A-Z_]*\)=.*/\1/p' | sort -u); do
        case $variable in
        HOOP_LITE_BASE_URL | HOOP_LITE_PUBLIC_KEY) continue ;;
        esac
        eval "value=\${$variable:-}"
        [ -n "$value" ] || continue
        [ "$variable" != HOOP_TLSCA ] || keep_authority
        case $value in
        *\'* | *"
"*) fail "$variable holds a quote or a line end: write it into $env_file yourself" ;;
        esac
        printf "%s='%s'\n" "$variable" "$value" >>"$work/settings"
    done
    [ ! -s "$work/settings" ] ||
        say "from the environment into $env_file: $(cut -d = -f 1 "$work/settings" | tr '\n' ' ')"
}

# The service reads no home and no folder of root's: an authority from there is copied beside the settings.
keep_authority() {
    case $value in
    *-----BEGIN*) printf '%s\n' "$value" >"$work/ca.pem" ;;
    base64://*) return 0 ;;
    file://*)
        path=${value#file://}
        [ -r "$path" ] || fail "HOOP_TLSCA names $path, which cannot be read"
        case $path in
        "$config_dir"/*) return 0 ;;
        /home/* | /root/* | /run/user/* | /tmp/* | /var/tmp/*) ;;
        *) [ -z "$(find "$path" -prune -perm -004)" ] || return 0 ;;
        esac
        cat "$path" >"$work/ca.pem"
        ;;
    *) fail "HOOP_TLSCA is neither PEM text nor base64://... nor file://PATH: $value" ;;
    esac
    value=file:///etc/hoop-lite/ca.pem
    say "the authority in HOOP_TLSCA is copied to $config_dir/ca.pem"
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

# A key, or what stands for one.
has_key() {
    [ -f "$env_file" ] && grep -q "^HOOP_\(KEY\|KEY_FILE\|SPIFFE_KEY_FILE\)=[\"']\{0,1\}[^\"']" "$env_file"
}

# The file is made readable by root alone before the key is in it; printf is part of the shell.
write_env() {
    mkdir -p "$config_dir"
    chmod 755 "$config_dir"
    [ ! -f "$work/ca.pem" ] || place 644 "$work/ca.pem" "$config_dir/ca.pem"
    if [ -z "$key" ] && [ ! -s "$work/settings" ] && [ -f "$env_file" ]; then
        return 0
    fi
    # What stands there already stays, but for what is set anew.
    set -- -e '^HOOP_KEY=$'
    for variable in $(cut -d = -f 1 "$work/settings") ${key:+HOOP_KEY HOOP_KEY_FILE}; do
        set -- "$@" -e "^$variable="
    done
    make_partial "$config_dir"
    {
        if [ -n "$key" ] || [ ! -f "$env_file" ]; then
            printf "HOOP_KEY='%s'\n" "$key"
        fi
        if [ -f "$env_file" ]; then
            grep -v "$@" "$env_file" || :
        else
            first_settings
        fi
        cat "$work/settings"
    } >"$partial"
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
    start_service
    await_connection
}

start_service() {
    log_bytes=$(wc -c 2>/dev/null <"$log_file" || echo 0)
    if [ "$manager" = systemd ]; then
        hint="systemctl status hoop-lite, journalctl -u hoop-lite"
        systemctl restart hoop-lite.service || not_connected "the service did not start ($hint)"
    else
        hint="rc-service hoop-lite status, $log_file"
        rc-service hoop-lite restart || not_connected "the service did not start ($hint)"
    fi
    say "started; see: $hint"
}

# What the service says of itself decides, for at most 20 s.
await_connection() {
    waited=0
    until is_connected; do
        [ "$waited" -lt 20 ] || not_connected "not connected after $waited s; the service goes on trying"
        sleep 1
        waited=$((waited + 1))
    done
    say "connected to the gateway"
}

is_connected() {
    if [ "$manager" = systemd ]; then
        # What it tells its manager by sd_notify(3).
        told=$(systemctl show --property=StatusText --value hoop-lite.service) || told=''
        case $told in
        connected* | *"accepts the key"*) return 0 ;;
        esac
    else
        # What it has logged since it was started.
        told=$(tail -c "+$((log_bytes + 1))" "$log_file" 2>/dev/null) || told=''
        case $told in
        *"connected with success"* | *"accepts the key"*) return 0 ;;
        esac
    fi
    return 1
}

not_connected() {
    say "$1"
    say "hoop-lite doctor --service says:"
    if "$bin/hoop-lite" doctor --service; then
        say "no fault was found; look again: $hint"
    fi
    exit 3
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
        for folder in "$config_dir" "$destdir/var/lib/hoop-lite" "$destdir/var/lib/private/hoop-lite" "$log_file"; do
            if [ -e "$folder" ] || [ -L "$folder" ]; then
                rm -rf "$folder"
                removed=yes
                say "removed $folder"
            fi
        done
    elif [ -d "$config_dir" ]; then
        say "kept $config_dir with the key (--purge removes it)"
    fi
    [ "$removed" = no ] || return 0
    say "nothing to remove: no hoop-lite is installed in $prefix"
    elsewhere=$(command -v hoop-lite || :)
    [ -z "$elsewhere" ] || say "note: there is one at $elsewhere: --uninstall --prefix $(dirname "$(dirname "$elsewhere")")"
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
        removed=yes
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
    probe=$(mktemp "$folder/.hoop-lite.XXXXXX" 2>/dev/null) || return 1
    rm -f "$probe"
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
