"""Random designs of every space in every dimension it serves, as .pt2 and ONNX.

python -m tests.nas.exporting.soak [--designs 5]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.nas.exporting.test_programs import EVERY, assert_exports, random_design


def main() -> None:
    parser = argparse.ArgumentParser(description="Export random designs of every space.")
    parser.add_argument("--designs", type=int, default=5, help="of each space and shape")
    options = parser.parse_args()
    for name, shape in EVERY:
        for seed in range(2, 2 + options.designs):
            with tempfile.TemporaryDirectory() as scratch:
                assert_exports(random_design(name, shape, seed), shape, Path(scratch))
        print(f"{name} on {shape}: {options.designs} designs", flush=True)


if __name__ == "__main__":
    main()
