#!/usr/bin/env bash
# Installs the real clients that the integration tests speak with: Python packages into a virtual
# environment under target/, npm packages beside this script. Idempotent; offline once cached.
set -euo pipefail
cd "$(dirname "$0")"
missing=()
command -v curl >/dev/null || missing+=(curl)
command -v openssl >/dev/null || missing+=(openssl)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
  else
    echo "The integration tests need these packages; please install them: ${missing[*]}" >&2
    exit 1
  fi
fi
venv=../../target/clients/venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
npm ci --prefer-offline --no-audit --no-fund
