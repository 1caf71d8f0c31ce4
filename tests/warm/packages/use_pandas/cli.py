#!/usr/bin/env python3
"""Groups and writes tables with pandas."""
import io
import sys

import pandas as pd


def use():
    table = pd.read_csv(io.StringIO("day,kind,value\n2024-01-01,a,1\n2024-01-02,b,2.5\n2024-01-03,a,4\n"), parse_dates=["day"])
    print(table.groupby("kind")["value"].agg(["sum", "mean"]))
    print(table.set_index("day").resample("2D").sum(numeric_only=True), table.dtypes)
    print(table.to_json(orient="records"), pd.Timestamp("2024-03-31 02:30", tz="UTC").tz_convert("Europe/Berlin"))
    table.to_csv("table.csv")
    table["missing"]


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
