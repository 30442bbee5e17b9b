#!/usr/bin/env python3
"""Stands for ansible-playbook: writes the events of FAKE_EVENTS, keeps what it was given, ends as told."""

import json
import os
import sys
import time
from pathlib import Path

given = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
Path(os.environ["FAKE_GIVEN"]).write_text(json.dumps(given), encoding="utf-8")
with Path(os.environ["SOCLE_EVENTS"]).open("a", encoding="utf-8") as stream:
    for line in Path(os.environ["FAKE_EVENTS"]).read_text(encoding="utf-8").splitlines():
        half = len(line) // 2
        stream.write(line[:half])
        stream.flush()
        stream.write(line[half:] + "\n")
        stream.flush()
sys.stdout.write(os.environ.get("FAKE_OUTPUT", "") + "\n")
time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
sys.exit(int(os.environ.get("FAKE_STATUS", "0")))
