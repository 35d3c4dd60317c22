#!/usr/bin/env bash
# TensorBoard's writer of event files imports all of TensorFlow where that is installed.
#
# One would guess: `EventFileWriter`, which programs without TensorFlow use to write for TensorBoard, writes a file.
# What happens: its first use looks for TensorFlow to make the folder with, and imports it: seconds of CPU, several
# hundred MB, TensorFlow's threads and messages, and on a machine with a GPU its libraries, to write a hundred bytes. An
# environment without TensorFlow writes the same file with a stand-in.
# Who is hurt: programs of other frameworks beside an installed TensorFlow, and processes that must stay small.
# Ours: orchestrator/trackers/tensorboard.py writes TensorBoard's messages by its `RecordWriter`, which imports nothing.
set -euo pipefail
source "$(dirname "$0")/_setup.sh"
fresh_venv tensorflow==2.21.0 tensorboard==2.21.0
cat > "$work/write.py" <<'PYTHON'
import sys
import time

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

event = Event(step=1, summary=Summary(value=[Summary.Value(tag="loss", simple_value=0.5)]))
began = time.process_time()
if sys.argv[1] == "EventFileWriter":
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(sys.argv[2])
    writer.add_event(event)
    writer.close()
else:
    from tensorboard.summary.writer.record_writer import RecordWriter

    with open(sys.argv[2], "wb") as file:
        RecordWriter(file).write(event.SerializeToString())
seconds = time.process_time() - began
pages = int(open("/proc/self/statm").read().split()[1])
is_there = "tensorflow" in sys.modules
print(f"{sys.argv[1]}: {seconds:.1f} s of CPU, {pages * 4 // 1024} MB, TensorFlow imported: {is_there}")
sys.exit(3 if is_there else 0)
PYTHON
quietly python "$work/write.py" RecordWriter "$work/events"
status=0
python "$work/write.py" EventFileWriter "$work/folder" 2>/dev/null || status=$?
if [[ $status != 3 ]]; then
    echo "changed: EventFileWriter does not import TensorFlow any more (or not at all, exit code $status)" >&2
    exit 1
fi
