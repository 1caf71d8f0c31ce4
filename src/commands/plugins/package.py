"""Says which version of a package is installed, and which programs it brings, with what each of them runs."""
import json
import sys
from importlib import metadata

known = metadata.distribution(sys.argv[1])
programs = {entry.name: entry.value for entry in known.entry_points if entry.group == "console_scripts"}
print(json.dumps({"name": known.metadata["Name"], "version": known.version, "programs": programs}))
