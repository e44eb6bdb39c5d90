# Sourced by ./run and ./test: which Debian packages they need, and how a missing one gets in.
# Asking dpkg costs milliseconds; apt is started only when something is missing.

build_packages="build-essential cmake curl ninja-build pkg-config ca-certificates libh2o-evloop-dev libcurl4-openssl-dev
  libssl-dev libjansson-dev zlib1g-dev libzstd-dev libtomlplusplus-dev libqrencode-dev"

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

missing_packages() {
    # shellcheck disable=SC2086,SC2016
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii  *//p' | sort -u)
}

need_packages() {
    command -v dpkg-query >/dev/null || die "this is not a Debian system; install by hand: $*"
    local missing as_root=()
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "root or sudo is needed once, to install: $missing"
        as_root=(sudo)
    fi
    echo "installing Debian packages: $missing" >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || die "apt-get update failed"
    # shellcheck disable=SC2086
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2 ||
        die "apt-get could not install: $missing"
}

# build_preset NAME DIR TARGET...: configures once, then lets ninja decide; quiet unless it fails.
build_preset() {
    local preset=$1 dir=$2 log
    shift 2
    log=$(mktemp)
    if [ ! -f "$dir/build.ninja" ] || [ CMakePresets.json -nt "$dir/build.ninja" ]; then
        echo "configuring $dir" >&2
        cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; die "cmake failed"; }
    fi
    # ninja's dry run cannot tell that nothing is to do (it always wants to look for new files), so just run it.
    ninja -C "$dir" "$@" >"$log" 2>&1 &
    local building=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$building" 2>/dev/null || break
        sleep 0.05
    done
    kill -0 "$building" 2>/dev/null && echo "building $dir (a minute when it is the first time)" >&2
    wait "$building" || { cat "$log" >&2; rm -f "$log"; die "the build failed"; }
    rm -f "$log"
}
