"""Does what can go wrong in processes of its own. A line of JSON in: what to do; a line out: how it ended.

Everything is imported once; a fork then starts at once, as a new process with the same seeds would.
"""

import hashlib
import json
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401
import filelock  # noqa: F401
import jsonargparse  # noqa: F401
import numpy as np
import sklearn.feature_extraction.text  # noqa: F401
import torch
import tqdm

from n3lib.config import config_from_dict
from n3lib.data import load_data
from n3lib.episodes import Episodes
from n3lib.io import N3Error, sha256_file
from n3lib.metrics import class_metrics
from n3lib.run import Run, train
from n3lib.synthesis import load, synthesize
from n3lib.text.cache import encode_texts
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextPipeline
from n3lib.text.words import WordEncoder
from n3lib.trainer import Progress

Order = dict[str, Any]
OF_FILES = ("open", "os.rename", "os.remove", "os.chmod")


def train_in(order: Order) -> Order:
    """Train; die at the file operation `dies_at`, or do `act` after step `step`."""
    folder, count = Path(order["folder"]), 0

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in OF_FILES and str(arguments[0]).startswith(str(folder)):
            count += 1
            if count == order.get("dies_at"):
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(progress: Progress) -> None:
        if progress.step == order.get("step"):
            act = order["act"]
            if act.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, act))
            elif act == "full":  # the system cuts every file here, as a full disk does
                resource.setrlimit(resource.RLIMIT_FSIZE, (order["bytes"], resource.RLIM_INFINITY))

    sys.addaudithook(note)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    config = config_from_dict(order["config"], "order")
    try:
        run = train(config, folder, watch)
    except KeyboardInterrupt:
        return {"stopped": True}
    return {"weights": sha256_file(run.folder / "model.safetensors"), "operations": count}


def draw(order: Order) -> Order:
    """What follows from the seed alone, as hashes; and numbers of a training, which threads may round."""
    torch.set_num_threads(order["threads"])
    config = config_from_dict(order["config"], "order")
    data = load_data(config.data)
    bank = TextPipeline.fit(make_encoder("words:8"), data.texts, config.text).bank(data.texts)
    episodes = Episodes(data, bank, data.split.train, config.episodes, config.seed)
    digest = hashlib.sha256()
    for step in range(20):
        batch = episodes(step)
        for part in (batch.support, batch.images, batch.labels, batch.text.tokens):
            digest.update(np.ascontiguousarray(part.numpy()).tobytes())
    made = hashlib.sha256(np.ascontiguousarray(data.images).tobytes() + repr(data.texts).encode()).hexdigest()
    split = [list(data.split.part(part)) for part in ("train", "val", "test")]
    run = train(config, order["folder"])
    network = synthesize(run, {data.classes[c]: data.texts[c] for c in data.split.test[:5]})
    images = torch.from_numpy(data.images[:16].copy())
    return {
        "aviary": made,
        "split": split,
        "episodes": digest.hexdigest(),
        "probabilities": network.probabilities(images).tolist(),
    }


def write_cache(order: Order) -> Order:
    texts = [[f"bird {i} of {j}" for i in range(3)] for j in range(order["texts"])]
    found = encode_texts(WordEncoder(8), texts, order["cache"])
    return {"sum": sum(one.embeddings.double().sum().item() for text in found for one in text)}


def limit(mb: int) -> None:
    """No more than some MB of further memory."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + mb * 2**20, resource.RLIM_INFINITY))


def synthesize_many(order: Order) -> Order:
    """Write a network for some short descriptions, and one of `long` sentences, with so many MB."""
    run = Run.load(order["folder"])
    classes = {f"class {k}": f"A red bird, number {k}." for k in range(order["classes"])}
    if order["long"]:
        classes["long"] = "The cap is red. " * order["long"]
    limit(order["mb"])
    return {"finite": bool(synthesize(run, classes).fc.weight.isfinite().all())}


def open_folder(order: Order) -> Order:
    """Open a network or a run with no more than some MB of further memory."""
    limit(order["mb"])
    {"network": load, "run": Run.load}[order["kind"]](order["folder"])
    return {"opened": True}


TASKS: dict[str, Callable[[Order], Order]] = {
    "train": train_in,
    "draw": draw,
    "cache": write_cache,
    "open": open_folder,
    "synthesize": synthesize_many,
}


def child(order: Order, told: int) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (progress bars)
    try:
        result = TASKS[order["task"]](order)
    except N3Error as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": "MemoryError"}
    except BaseException as error:
        result = {"error": f"traceback: {type(error).__name__}: {error}"}
    os.write(told, json.dumps(result).encode())


def outcome(pid: int, pipe: int, order: Order) -> Order:
    """Wait for a child; kill it if it takes longer than `dies_after` seconds."""
    killer = order.get("dies_after")
    if killer is not None and not select.select([pipe], [], [], killer)[0]:
        os.kill(pid, signal.SIGKILL)
    told = b"".join(iter(lambda: os.read(pipe, 65536), b""))
    os.close(pipe)
    status = os.waitpid(pid, 0)[1]
    return json.loads(told or "{}") | {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def main() -> None:
    torch.set_num_threads(1)
    class_metrics(torch.eye(2), torch.arange(2))  # imports torchmetrics
    tqdm.tqdm.monitor_interval = 0
    assert threading.active_count() == 1  # or else a fork may meet a lock that nobody opens
    for line in sys.stdin:
        order = json.loads(line)
        children = []
        for _ in range(order["copies"]):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(read)
                child(order, write)
                os._exit(0)
            os.close(write)
            children.append((pid, read))
        print(json.dumps([outcome(pid, read, order) for pid, read in children]), flush=True)


if __name__ == "__main__":
    main()
