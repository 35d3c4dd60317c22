import convfleet

formats = ["keras", "saved_model", "litert", "onnx", "openvino"]
(folder,) = convfleet.export_study("runs/quickstart", top=1, formats=formats)
print(sorted(path.name for path in folder.iterdir()))
