"""Seconds from files to the cache: `python benchmarks/decoding.py --old CHECKOUT`.

Makes small JPEGs (in class folders and in Parquet) and large photos, and prepares each into an empty cache, by this
checkout and by an older one in turn, each in a process of its own that may use `--cpus` of the machine. A row has the
best of all rounds of each; `equal` says whether the fingerprints, and thus all pixels, are. Processor time is that of
all threads: it says more than seconds where other work runs on the machine.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHILD = """
import json, os, resource, sys, tempfile, time
from trainables.data.cache.prepare import prepare_dataset
from trainables.specs.data import DataSpec
fields, cpus = json.loads(sys.argv[1])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
fields = {name: value for name, value in fields.items() if name in DataSpec.model_fields}
with tempfile.TemporaryDirectory() as cache:
    spec = DataSpec(**fields, cache_dir=cache)
    began = time.perf_counter()
    info = prepare_dataset(spec, 1)
    seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which a child begins with from its parent.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM"))
print(json.dumps([seconds, used.ru_utime + used.ru_stime, peak, info.fingerprint]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=Path, help="Another checkout to compare with.")
    parser.add_argument("--small", type=int, default=50_000, help="JPEGs of 32x32.")
    parser.add_argument("--photos", type=int, default=2_000, help="JPEGs of 2,000x1,500, shrunk to 224x224.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    checkouts = {"old": options.old, "new": ROOT} if options.old else {"new": ROOT}
    table = Table("data", "checkout", "seconds", "processor s", "peak MB", "of old, s", "of old, processor", "equal")
    with tempfile.TemporaryDirectory() as folder:
        for name, fields in _data(Path(folder), options).items():
            found = _best(fields, checkouts, options)
            for checkout, (seconds, processor, peak, prints) in found.items():
                old = found.get("old") if checkout == "new" else None
                compared = ["", "", ""]
                if old:
                    equal = "yes" if prints == old[3] else "no"
                    compared = [f"{seconds / old[0]:.2f}", f"{processor / old[1]:.2f}", equal]
                table.add_row(name, checkout, f"{seconds:.2f}", f"{processor:.2f}", f"{peak:.0f}", *compared)
    Console(width=120).print(table)


def _best(fields, checkouts, options):
    best = {}
    for _ in range(options.rounds):
        for name, checkout in checkouts.items():
            seconds, processor, peak, prints = _run(fields, checkout, options)
            before = best.get(name, (seconds, processor, peak, prints))
            best[name] = (min(seconds, before[0]), min(processor, before[1]), max(peak, before[2]), prints)
    return best


def _run(fields, checkout, options):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps([fields, options.cpus])],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=checkout,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _data(folder, options):
    """Writes the data, and returns the fields of its data sections by name."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    small = [_small(generator) for _ in range(200)]
    contents = [
        _jpeg(np.roll(small[row % 200], row // 200, axis=1) ^ np.uint8(row % 7)) for row in range(options.small)
    ]
    _write(folder / "small", contents)
    pq.write_table(pa.table({"image": contents, "label": np.arange(len(contents)) % 10}), folder / "small.parquet")
    photos = [_photo(generator) for _ in range(min(20, options.photos))]
    # A comment of its own makes each file another one.
    comments = [b"\xff\xfe\0\6" + row.to_bytes(4, "big") for row in range(options.photos)]
    _write(
        folder / "photos",
        [photos[row % 20][:2] + comment + photos[row % 20][2:] for row, comment in enumerate(comments)],
    )
    small_text, photo_text = f"{options.small:,} JPEGs 32x32", f"{options.photos:,} photos to 224"
    to_224 = {"source": "images", "path": str(folder / "photos"), "image_size": [224, 224], "allow_overlap": True}
    sets = {
        f"{small_text}, folders": {"source": "images", "path": str(folder / "small"), "allow_overlap": True},
        f"{small_text}, Parquet": {"source": "parquet", "train": str(folder / "small.parquet"), "allow_overlap": True},
        photo_text: to_224,
        f"{photo_text}, reduced decoding": {**to_224, "reduced_decoding": True},
    }
    return {name: fields for name, fields in sets.items() if (options.photos if "photos" in name else options.small)}


def _small(generator):
    import numpy as np
    from PIL import Image

    noise = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC))


def _photo(generator):
    import numpy as np
    from PIL import Image

    noise = generator.integers(0, 256, (150, 200, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(noise).resize((2000, 1500), Image.Resampling.BICUBIC)).astype(int)
    return _jpeg((photo + generator.integers(-8, 9, photo.shape)).clip(0, 255).astype(np.uint8))


def _jpeg(pixels):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _write(folder, contents):
    for number in range(10):
        (folder / str(number)).mkdir(parents=True)
    for row, content in enumerate(contents):
        (folder / str(row % 10) / f"{row:06}.jpg").write_bytes(content)


if __name__ == "__main__":
    main()
