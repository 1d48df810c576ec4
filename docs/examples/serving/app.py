"""Serve a file of skaudio.export.to_onnx: MODEL=sounds.onnx uvicorn app:app."""

import io
import json
import os
import wave

import numpy as np
import onnxruntime
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

session = onnxruntime.InferenceSession(os.environ["MODEL"])
about = session.get_modelmeta().custom_metadata_map
SR, SHORTEST = float(about["sr"]), int(about["shortest"])
CLASSES = [str(name) for name in json.loads(about["classes"])]
MOST_BYTES = 60 * 4 * int(SR)  # a minute of float32
app = FastAPI(title="Sounds")


def samples_of(body: bytes, sr: float) -> np.ndarray:
    """Samples from -1 to 1 of a WAV file, or of bytes that are float32."""
    if body[:4] == b"RIFF":
        with wave.open(io.BytesIO(body)) as file:
            n_channels, width, sr, *_ = file.getparams()
            if width != 2:
                raise ValueError(f"Wanted samples of 16 bits; got {8 * width}.")
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        samples = pcm.reshape(-1, n_channels).mean(axis=1) / 32768
    else:
        samples = np.frombuffer(body, "<f4")
    if sr != SR:
        raise ValueError(f"The model takes {SR:g} samples per second; got {sr:g}.")
    if len(samples) < SHORTEST or not np.abs(samples).max() <= 10:
        raise ValueError(f"Wanted {SHORTEST} samples or more, from -1 to 1.")
    return samples.astype(np.float32)


@app.post("/predict")
async def predict(request: Request, sr: float = SR) -> dict[str, float]:
    """Probabilities by class, of a WAV file or of float32 samples at a rate sr."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"Wanted at most {MOST_BYTES} bytes.")
    try:
        samples = samples_of(body, sr)
    except (ValueError, EOFError, RuntimeError, wave.Error) as error:
        raise HTTPException(422, f"No sound that can be used: {error}") from error
    inputs = {"waveform": samples[None]}
    (proba,) = await run_in_threadpool(session.run, ["probabilities"], inputs)
    return dict(zip(CLASSES, proba[0].tolist(), strict=True))


@app.get("/health")
def health() -> dict[str, str | float]:
    """What is served."""
    return {"status": "ok", "sr": SR, "skaudio_version": about["skaudio_version"]}
