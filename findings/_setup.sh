# Sourced by the findings: a temporary folder that goes with the script, and pinned packages from PyPI in it.
#
# FINDINGS_VENV: a virtual environment that has exactly these packages already; nothing is installed then.

work=$(mktemp -d -t finding.XXXX)
trap 'rm -rf "$work" || true' EXIT

# quietly COMMAND...: runs it, and shows what it wrote to stderr only where it fails.
quietly() {
    if ! "$@" 2>"$work/errors"; then
        tail -n 20 "$work/errors" >&2
        return 1
    fi
}

# fresh_venv PACKAGE==VERSION...: puts a Python with these packages first in PATH, and prints what it is.
fresh_venv() {
    if [[ -n "${FINDINGS_VENV:-}" ]]; then
        PATH="$FINDINGS_VENV/bin:$PATH"
    else
        "$(command -v python3.11 || command -v python3)" -m venv "$work/venv"
        PATH="$work/venv/bin:$PATH"
        python -m pip install --quiet --disable-pip-version-check "$@"
    fi
    # Libraries write into the home directory; none of them needs a GPU for what is shown.
    mkdir "$work/home"
    export PATH HOME="$work/home" TMPDIR="$work" RAY_TMPDIR="$work" CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3
    # Ray Tune's own files and the folders it changes into play no part.
    export TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1 RAY_CHDIR_TO_TRIAL_DIR=0 RAY_USAGE_STATS_ENABLED=0
    python - "$@" <<'PYTHON'
import platform
import sys
from importlib.metadata import version

for wanted in sys.argv[1:]:
    name, _, pinned = wanted.partition("==")
    name = name.partition("[")[0]
    if version(name) != pinned:
        sys.exit(f"{name} {version(name)} is installed, {pinned} is wanted: leave FINDINGS_VENV empty")
    print(name, pinned)
print("Python", platform.python_version())
PYTHON
}
