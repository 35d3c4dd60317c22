"""Answered images a second, and the time of an answer: `python benchmarks/serving.py RUN`.

Exports a run's best model, of one image, in Keras's format and for ONNX Runtime, and serves it: by `convfleet serve`,
once with each format; by a Ray Serve deployment as its documentation writes one; and by FastAPI with a call of the
Keras model. Each server is alone on the machine but for the clients, which ask for one image a request, one after
the other. `bytes` sends pixels as binary tensors, where the others read JSON.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PORT, READY_SECONDS = 8765, 300
RAY_SERVE = """
import sys, time
import numpy as np
from ray import serve
from starlette.requests import Request

@serve.deployment
class Digits:
    def __init__(self, path):
        import keras
        self.model = keras.models.load_model(path)

    async def __call__(self, request: Request):
        image = np.array((await request.json())["image"], "float32")
        return {"prediction": self.model(image[None]).numpy().tolist()}

serve.start(http_options={"port": int(sys.argv[2])})
serve.run(Digits.bind(sys.argv[1]))
while True:
    time.sleep(1)
"""
FAST_API = """
import sys
import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, Request

app, model = FastAPI(), keras.models.load_model(sys.argv[1])

@app.post("/")
async def predict(request: Request):
    image = np.array((await request.json())["image"], "float32")
    return {"prediction": model(image[None]).numpy().tolist()}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="A finished run.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()

    from rich.console import Console
    from rich.table import Table

    table = Table("server", "request", "images a second", "median ms", "p99 ms", "refused")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(options.run, folder / "run")
        convfleet(folder, "export", "run", "--top", "1", "--format", "keras", "--format", "onnx")
        (export,) = (folder / "run" / "exports").glob("1-*")
        manifest = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
        shape = [1, *manifest["inputs"][0]["shape"][1:]]
        for server, kind, command in servers(folder, export):
            rates, seconds, refused = measured(command, request_of(kind, shape), folder, options)
            median, late = (1000 * np.percentile(seconds, share) for share in (50, 99))
            table.add_row(server, kind, f"{rates:.0f}", f"{median:.1f}", f"{late:.1f}", str(refused))
    size = "x".join(map(str, shape[1:]))
    console = Console(width=120)
    console.print(f"images of {size}, a model of {manifest['num_parameters']:,} parameters, {options.clients} clients")
    console.print(table)


def servers(folder, export):
    """Yields each server's name, the kind of its requests, and its command."""
    from orchestrator.registry.registry import Registry

    plain = folder / "plain"
    shutil.copytree(export, plain)
    for form in ("onnx", "keras"):
        # Without the file of the other runtime, Keras's is left.
        registry = Registry(folder / f"registry-{form}")
        registry.add(export if form == "onnx" else without_onnx(plain), name="digits", alias="production")
        command = [sys.executable, "-m", "convfleet", "serve", str(registry.path), "--port", str(PORT)]
        for kind in ("bytes", "json"):
            yield f"convfleet serve, {form}", kind, command
    for name, code in (("Ray Serve, Keras", RAY_SERVE), ("FastAPI, Keras", FAST_API)):
        yield name, "plain json", [sys.executable, "-c", code, str(export / "model.keras"), str(PORT)]


def without_onnx(export):
    from trainables.files.manifests import MANIFEST, OWN_HASH, fingerprints, sealed

    (export / "model.onnx").unlink()
    content = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    del content["runtimes"], content[OWN_HASH]
    content["files"] = fingerprints(export)
    (export / MANIFEST).write_text(json.dumps(sealed(content)), encoding="utf-8")
    return export


def convfleet(folder, *arguments):
    subprocess.run([sys.executable, "-m", "convfleet", *arguments], cwd=folder, env=environment(), check=True)


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def measured(command, request, folder, options):
    """Returns images a second, the seconds of each answer, and how many requests were refused."""
    path, body, headers = request
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            wait_for(path, body, headers)
            return load(path, body, headers, options)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def request_of(kind, shape):
    """Returns the path, the body and the headers of a request for one image."""
    image = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    if kind == "plain json":
        return "/", json.dumps({"image": image[0].tolist()}).encode(), {}
    tensor = {"name": "image", "datatype": "UINT8", "shape": shape}
    path = "/v2/models/digits/infer"
    if kind == "json":
        return path, json.dumps({"inputs": [{**tensor, "data": image.ravel().tolist()}]}).encode(), {}
    header = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": image.size}}]}).encode()
    return path, header + image.tobytes(), {"Inference-Header-Content-Length": str(len(header))}


def wait_for(path, body, headers):
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            if ask(http.client.HTTPConnection("127.0.0.1", PORT, timeout=30), path, body, headers) == 200:
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("the server does not answer")
        time.sleep(0.2)


def ask(connection, path, body, headers):
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def load(path, body, headers, options):
    seconds, refused, end = [], [], time.monotonic() + options.seconds

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        while time.monotonic() < end:
            began = time.perf_counter()
            status = ask(connection, path, body, headers)
            (seconds if status == 200 else refused).append(time.perf_counter() - began)

    clients = [threading.Thread(target=client) for _ in range(options.clients)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return len(seconds) / options.seconds, seconds, len(refused)


if __name__ == "__main__":
    main()
