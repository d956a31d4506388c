"""Three models of the record `modern` again, for as long as what they change.

By the record `step_time` the steps here take as long on an idle core as those
of `rate`, `shallow` and `muon` there. The positions have the steps of
`unturned`, which computes the same without the turn by zero.
"""

import hashlib
import runpy
from pathlib import Path

CASES = [{"model": "quick", "steps": 10, "seed": 1}] + [
    {"model": model, "steps": steps, "seed": seed}
    for model, steps in (("block", 960), ("learned positions", 890),
                         ("batch", 780))
    for seed in (1, 2, 3)]
VOLATILE = {"cpu_seconds"}
DATA, WORKERS = "tinyshakespeare.txt", 2
SCRIPT = Path(__file__).with_name("modern.py")


def measure(model, steps, seed):
    modern = runpy.run_path(str(SCRIPT))
    modern["MODELS"][model] |= {"steps": steps}
    found = modern["measure"](model, seed)
    return {"script": hashlib.sha256(SCRIPT.read_bytes()).hexdigest(),
            "val": found["val"], "cpu_seconds": found["seconds"]}
