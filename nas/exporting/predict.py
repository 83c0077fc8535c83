"""python predict.py ROWS.npy prints the class of each raw row; needs numpy and onnxruntime alone."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(__file__).resolve().parent
model, about = (folder / "model.onnx").read_bytes(), json.loads((folder / "architecture.json").read_text())
known = json.loads((folder / "manifest.json").read_text())["files"]["model.onnx"]["sha256"]
if hashlib.sha256(model).hexdigest() != known:
    sys.exit("model.onnx is damaged: it is not what manifest.json lists")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
rows = np.load(sys.argv[1]).astype(np.float32)  # (any number, channels, *extent), not normalised
for logits in session.run(None, {"input": rows})[0]:
    print(about["class_names"][logits.argmax()])
