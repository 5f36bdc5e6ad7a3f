#!/usr/bin/env bash
# Installs this checkout of Rostrum into a new virtual environment; the Makefile, the image and CI all run this.
#   launch/cluster/install.sh FOLDER [EXTRA ...]
#   launch/cluster/install.sh .venv test           what the tests need besides
#   launch/cluster/install.sh /app/.venv cluster   what submitting Ray jobs needs besides
# The versions are those of constraints.txt; pip's own configuration decides where they come from. PYTHON names the
# interpreter, python3 if it is not set.
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "Name the folder of the new environment, and extras if you want any: launch/cluster/install.sh .venv test" >&2
  exit 2
fi
venv=$(realpath -m "$1")
shift
cd "$(dirname "$0")/../.."
export DS_BUILD_OPS=0 # DeepSpeed builds what it needs when it needs it
extras=$(IFS=,; echo "$*")

python=${PYTHON:-python3}
"$python" -c "import sys; sys.exit(sys.version_info < (3, 11, 5))" || {
  echo "Rostrum needs Python 3.11.5 or newer, and $python is older: set PYTHON to one that is not." >&2
  exit 2
}
"$python" -m venv "$venv"
install() {
  "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt "$@"
}
install torch # first: DeepSpeed looks for it when it is installed
install --editable ".${extras:+[$extras]}"
case ",$extras," in
*,test,*)
  install --no-deps -r tests/inspect-requirements.txt
  install --no-deps --editable tests/plugin
  ;;
esac
