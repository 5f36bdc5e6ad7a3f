#!/usr/bin/env bash
# Installs Debian's Chromium where there is none, apt-get is there and this is root; else it changes nothing, and the
# tests are skipped with a sentence.
set -euo pipefail
if command -v chromium >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi
echo "Installing Debian's chromium with apt-get."
export DEBIAN_FRONTEND=noninteractive
packages() { apt-get install --yes --quiet --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
packages || { apt-get update --quiet >/dev/null && packages; }
