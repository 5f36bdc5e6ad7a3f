#!/usr/bin/env bash
# Installs Debian's Slurm and munge where they are missing, apt-get is there and this is root; else it changes nothing, and
# the tests are skipped with a sentence.
set -euo pipefail
PATH=$PATH:/usr/sbin
if command -v munged >/dev/null && command -v slurmctld >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi
echo "Installing Debian's slurm-wlm and munge with apt-get."
export DEBIAN_FRONTEND=noninteractive
packages() { apt-get install --yes --quiet --no-install-recommends munge slurm-wlm >/dev/null; }
packages || { apt-get update --quiet >/dev/null && packages; }
