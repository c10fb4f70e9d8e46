#!/usr/bin/env bash
# Installs the real peers that the integration tests run against, into .peers/ (ignored by git):
#   lodestar   beacon node and validator client 1.5.1 from the npm registry (Altair, minimal preset)
# and, as Debian packages, swtpm, a TPM 2.0 in software, nginx, a reverse proxy, and iproute2, for networks that fail.
# Idempotent: a stamp names the recipe and the Node version, and a second run does nothing.
# Needs node >= 20, npm, a C++ compiler and make; as root on Debian it installs what is missing.
# Exits 1 with a loud message when it cannot.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=$root/.peers/lodestar
version=1.5.1
log=$root/.peers/install.log
tcp_filter=node_modules/@libp2p/tcp/dist/src/index.js

fail() {
  printf '\n%s\n' "==================================================================" \
    "REAL PEERS NOT INSTALLED: $1" "log: $log" \
    "==================================================================" >&2
  exit 1
}

node_is_new_enough() {
  command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

install_debian_packages() {
  local missing=()
  node_is_new_enough || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  command -v g++ >/dev/null || missing+=(g++)
  command -v make >/dev/null || missing+=(make)
  command -v python3 >/dev/null || missing+=(python3)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "missing: ${missing[*]}; install them, or run this script as root on Debian"
  fi
  echo "installing Debian packages: ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    "${missing[@]}"; } >>"$log" 2>&1 || fail "apt-get could not install ${missing[*]}"
  node_is_new_enough || fail "node >= 20 is needed, found $(node --version 2>/dev/null || echo none)"
}

# Only their own tests need them, and they say that they were skipped.
install_optional() {
  local program=$1 package=$2
  command -v "$program" >/dev/null && return
  echo "installing Debian packages: $package"
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null &&
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      "$package"; } >>"$log" 2>&1 || true
  command -v "$program" >/dev/null && return
  printf '\n%s\n' "==================================================================" \
    "NOT INSTALLED: $package; tests with it will be skipped. log: $log" \
    "==================================================================" >&2
}

write_package() {
  # Every @lodestar package is pinned: ranges would mix releases that do not fit together.
  local names=(api beacon-node config db params state-transition types utils validator reqresp
    fork-choice light-client) overrides=""
  for name in "${names[@]}"; do overrides+="${overrides:+, }\"@lodestar/$name\": \"$version\""; done
  cat >package.json <<JSON
{"name": "tetrarch-test-peer", "version": "1.0.0", "private": true,
 "dependencies": {"@chainsafe/lodestar": "$version"}, "overrides": {$overrides}}
JSON
  # Newer dependencies expect Promise.withResolvers, which Node 20 lacks.
  cat >polyfill.cjs <<'JS'
if (!Promise.withResolvers) {
  Promise.withResolvers = function () {
    const made = {};
    made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
    return made;
  };
}
JS
}

patch_tcp() {
  # Its address filter comes from a library whose newer release no longer knows these addresses.
  sed -i 's/mafmt\.TCP\.matches(ma\.decapsulateCode(CODE_P2P))/ma.protoNames().includes("tcp")/' \
    "$tcp_filter"
  grep -q 'protoNames().includes("tcp")' "$tcp_filter" || fail "the patch of $tcp_filter did not apply"
}

mkdir -p "$dir"
: >"$log"
PATH=$PATH:/usr/sbin:/sbin
install_optional swtpm swtpm
install_optional nginx nginx-light
install_optional ip iproute2
install_debian_packages
recipe=$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)
stamp=$dir/.installed-$recipe-$(node --version)
if [ -e "$stamp" ]; then
  echo "lodestar $version is installed"
  exit 0
fi

cd "$dir"
rm -rf .installed-* node_modules package-lock.json
write_package
echo "installing lodestar $version from npm (about 4 minutes, 350 MB)"
npm install --legacy-peer-deps --no-audit --no-fund --loglevel=error >>"$log" 2>&1 ||
  fail "npm install failed: $(tail -n 3 "$log" | tr '\n' ' ')"
patch_tcp
node -r ./polyfill.cjs node_modules/.bin/lodestar --version >>"$log" 2>&1 ||
  fail "the installed beacon node does not start"
touch "$stamp"
echo "lodestar $version is installed"
