import json
import urllib.request

import numpy as np

images = np.zeros((2, 8, 8, 1), np.uint8)
tensor = {"name": "image", "datatype": "UINT8", "shape": list(images.shape), "data": images.ravel().tolist()}
request = urllib.request.Request(
    "http://localhost:8000/v2/models/digits/infer", data=json.dumps({"inputs": [tensor]}).encode()
)
with urllib.request.urlopen(request) as answer:
    body = json.load(answer)
print(body["model_version"], body["outputs"][0]["shape"])
