"""The protocol's answers, and that no malformed request brings more than a sentence."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from made_exports import write_export
from served_models import HOST, IMAGE, fake_runtime, make_registry_of, picture_of, settings_of, tensor

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from orchestrator.serving.application import application_of
from orchestrator.serving.protocol import HEADER_LENGTH

MALFORMED = 2_000
#: Texts that break parsers.
TEXTS = ("", "\0", "é" * 300, "../../etc/passwd", "1e999", "NaN", "%00", "a" * 5000, "digits", "production")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of the models digits, of two versions, and pairs, of two inputs and two outputs."""
    folder = tmp_path_factory.mktemp("served")
    registry = make_registry_of(folder)
    names = [{"name": name, "shape": [None, 8, 8, 1]} for name in ("left", "right")]
    registry.add(write_export(folder / "pairs", inputs=names), name="pairs", alias="production")
    with fake_runtime(), TestClient(application_of(settings_of(registry)), base_url=HOST) as made:
        yield made


def test_the_server_says_what_it_is_and_that_it_is_ready(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert (client.get("/v2/health/live").status_code, client.get("/v2/health/ready").status_code) == (200, 200)
    assert client.get("/v2/models").json() == {"models": ["digits", "pairs"]}


def test_metadata_has_inputs_outputs_and_versions(client: TestClient) -> None:
    found = client.get("/v2/models/digits").json()
    assert (found["name"], found["versions"], found["parameters"]) == ("digits", ["1", "2"], {"model_version": "1"})
    assert found["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 1]}]
    assert found["outputs"][0]["parameters"]["class_names"] == ["cat", "dog"]
    assert client.get("/v2/models/digits/versions/2").json()["parameters"] == {"model_version": "2"}


@pytest.mark.parametrize(
    ("path", "version"),
    [("digits", "1"), ("digits/versions/1", "1"), ("digits/versions/2", "2"), ("digits/versions/production", "1")],
)
def test_every_answer_names_the_version_that_gave_it(client: TestClient, path: str, version: str) -> None:
    answer = client.post(f"/v2/models/{path}/infer", json={**tensor(), "id": "seven"})
    body = answer.json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("digits", version, "seven")
    assert body["outputs"] == [
        {"name": "output_0", "datatype": "FP32", "shape": [1, 2], "data": [float(version), 31.5]}
    ]
    assert (answer.headers["X-Model-Name"], answer.headers["X-Model-Version"]) == ("digits", version)
    picture = client.post(f"/v2/models/{path}/picture", content=picture_of(IMAGE[0, :, :, 0].astype(np.uint8)))
    assert (picture.json()["model_version"], picture.headers["X-Model-Version"]) == (version, version)
    assert client.get(f"/v2/models/{path}/ready").json() == {"name": "digits", "ready": True, "version": version}


@pytest.mark.parametrize("datatype", ["UINT8", "INT64", "FP16", "FP32", "FP64"])
def test_tensors_of_bytes_and_of_json_give_the_same(client: TestClient, datatype: str) -> None:
    kind = {"UINT8": "<u1", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}[datatype]
    images = np.concatenate([IMAGE, 2 * IMAGE])
    content = images.astype(kind).tobytes()
    request = tensor(images, datatype=datatype)
    nested = tensor(images, datatype=datatype, data=images.astype(int).tolist())
    del request["inputs"][0]["data"]
    request["inputs"][0]["parameters"] = {"binary_data_size": len(content)}
    header = json.dumps({**request, "parameters": {"binary_data_output": True}}).encode()
    binary = client.post("/v2/models/digits/infer", content=header + content, headers={HEADER_LENGTH: str(len(header))})
    length = int(binary.headers[HEADER_LENGTH])
    (output,) = json.loads(binary.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 16}
    found = np.frombuffer(binary.content[length:], "<f4").reshape(output["shape"]).tolist()
    assert found == [[1.0, 31.5], [1.0, 63.0]]
    assert client.post("/v2/models/digits/infer", json=nested).json()["outputs"][0]["data"] == [*found[0], *found[1]]


@pytest.mark.parametrize(
    ("path", "request_body", "status", "message"),
    [
        ("digits", tensor(datatype="BYTES"), 400, "datatype must be one of UINT8, .*, got 'BYTES'"),
        ("digits", tensor(shape=[1, 8, 8]), 400, r"shape must be \[images, 8, 8, 1\] with at least one image, got"),
        ("digits", tensor(data=[1.0]), 400, r"data has shape \[1\], where shape says \[1, 8, 8, 1\]"),
        ("digits", tensor(data=["1"] * 64), 400, "data must be numbers"),
        ("digits", tensor(data=[256] * 64), 400, "pixels must be 0 to 255, which the model scales itself, got 256"),
        ("digits", tensor(datatype="UINT8", data=[0.5] * 64), 400, "UINT8 takes whole numbers; send FP32"),
        ("digits", tensor(name="imgae"), 400, "the model has no 'imgae'; did you mean 'image'"),
        ("digits", {"inputs": tensor()["inputs"] * 2}, 400, "image comes twice"),
        ("digits", {**tensor(), "outputs": [{"name": "output"}]}, 400, "no 'output'; did you mean 'output_0'"),
        ("digits", [], 400, "must be a JSON object with inputs, got"),
        ("pairs", tensor(name="left"), 400, "inputs: right is missing"),
        ("digit", tensor(), 404, "no model is called 'digit'; did you mean 'digits'. models: digits, pairs"),
        ("digits/versions/9", tensor(), 404, "digits: no version is called '9'; aliases: production; versions: 1, 2"),
    ],
)
def test_a_refusal_says_what_was_received_and_what_to_send(
    client: TestClient, path: str, request_body: Any, status: int, message: str
) -> None:
    import re

    answer = client.post(f"/v2/models/{path}/infer", json=request_body)
    assert answer.status_code == status
    assert re.search(message, answer.json()["error"]), answer.json()


def test_a_header_length_of_more_digits_than_python_reads_is_refused_in_words(client: TestClient) -> None:
    answer = client.post("/v2/models/digits/infer", json=tensor(), headers={HEADER_LENGTH: "1" * 5000})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{HEADER_LENGTH}: must be 1 to the ")


def test_a_path_that_is_none_is_refused_in_words(client: TestClient) -> None:
    assert "openapi.json lists all paths" in client.get("/v1/models").json()["error"]
    assert client.get("/v2/models/digits/infer").status_code == 405


def test_no_malformed_request_brings_a_5xx_or_no_sentence(client: TestClient) -> None:
    generator = np.random.default_rng(11)
    for number in range(MALFORMED):
        path, body, headers = malformed(generator)
        answer = client.post(path, content=body, headers=headers)
        case = (number, path, body[:200], headers, answer.status_code, answer.content[:300])
        assert 200 <= answer.status_code < 500, case
        if answer.status_code >= 400:
            assert answer.json().keys() == {"error"}, case
            assert answer.json()["error"], case
            assert "Traceback" not in answer.text, case


def malformed(generator: np.random.Generator) -> tuple[str, bytes, dict[str, str]]:
    """Returns a path, a body and headers that are wrong somewhere, or nowhere by chance."""
    tail = str(generator.choice(["infer", "infer", "infer", "picture"]))
    name = str(generator.choice(["digits", "pairs", "digits/versions/2", "digits/versions/-1", "%2e%2e", "d%00"]))
    body = json.dumps(mutated(tensor(), generator, depth=0)).encode()
    headers = {}
    match int(generator.integers(6)):
        case 0:
            body = body[: int(generator.integers(len(body)))]
        case 1:
            spot = int(generator.integers(len(body)))
            body = body[:spot] + generator.bytes(int(generator.integers(1, 9))) + body[spot:]
        case 2:
            headers[HEADER_LENGTH] = str(generator.choice(["0", "-1", "x", "99999999", str(len(body) // 2), "1e3"]))
        case 3:
            body = b'{"inputs": ' + b"[" * int(generator.integers(10, 100_000))
        case 4:
            body = body + generator.bytes(int(generator.integers(1, 100)))
    return f"/v2/models/{name}/{tail}", body, headers


def mutated(value: Any, generator: np.random.Generator, *, depth: int) -> Any:
    """Returns a JSON value with some parts replaced by others of any type."""
    if generator.random() < 0.12:
        others: list[Any] = [None, True, -1, 1e308, 10**400, "", [], {}, [[]], [[1], [2, 3]], {"a": 1}, *TEXTS]
        return others[int(generator.integers(len(others)))]
    if isinstance(value, dict):
        return {key: mutated(inner, generator, depth=depth + 1) for key, inner in value.items()}
    if isinstance(value, list) and depth < 4:
        return [mutated(inner, generator, depth=depth + 1) for inner in value[: int(generator.integers(1, 65))]]
    return value
