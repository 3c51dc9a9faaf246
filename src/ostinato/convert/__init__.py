"""Exchange with other formats: ONNX, Keras, torch, plain folders, and smaller weights. Nothing is imported unasked."""
