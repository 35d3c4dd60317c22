#!/usr/bin/env bash
# Importing Ray Tune seeds Ray's generator of identifiers: processes forked afterwards all draw the same ones.
#
# One would guess: a process that has only imported Ray has drawn nothing, so that its forks draw identifiers of their own; Ray
# itself is started in none of them yet.
# What happens: after `import ray` two forks draw different identifiers. `import ray.tune` imports Ray Data, a module of which
# decorates a class of actors; that draws the class's identifier, which seeds the generator of the C++ library. A fork copies it.
# Who is hurt: whoever forks workers from a process that has Ray Tune imported to save that import: placement groups, and whatever
# else draws from that generator, have equal identifiers in all of them.
# Ours: orchestrator/forking/ray_workers.py draws those classes' identifiers from the system while the fork server imports.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv 'ray[tune]==2.60.0'
cat > "$work/finding.py" <<'PYTHON'
import importlib
import os
import sys


def drawn_by_two_forks():
    from ray._raylet import JobID, PlacementGroupID

    found = []
    for _ in range(2):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, PlacementGroupID.of(JobID.from_int(1)).binary())
            os._exit(0)
        os.wait()
        found.append(os.read(reader, 100))
    return found


importlib.import_module(sys.argv[1])
first, second = drawn_by_two_forks()
print("equal" if first == second else "different")
PYTHON
of_ray=$(python -W ignore "$work/finding.py" ray 2>/dev/null)
of_tune=$(python -W ignore "$work/finding.py" ray.tune 2>/dev/null)
echo "ray 2.60.0: identifiers of placement groups in two forks, after import ray: $of_ray; after import ray.tune: $of_tune"
[ "$of_ray" = different ] || { echo "changed: forks draw alike after import ray, too"; exit 1; }
[ "$of_tune" = equal ] || { echo "changed: forks draw their own identifiers after import ray.tune"; exit 1; }
