#!/usr/bin/env python3
"""Checks data with pydantic."""
import datetime
import sys
from typing import List, Optional

from pydantic import BaseModel, Field, ValidationError, field_validator


class Item(BaseModel):
    name: str = Field(min_length=2)
    price: float = Field(gt=0)
    tags: List[str] = []
    made: Optional[datetime.date] = None

    @field_validator("name")
    @classmethod
    def known(cls, value):
        if value == "unknown":
            raise ValueError("is not known")
        return value


def use():
    print(Item(name="tea", price="2.5", tags=["a"], made="2024-02-29").model_dump_json())
    print(Item.model_json_schema())
    for wrong in ({"name": "x", "price": -1}, {"name": "unknown", "price": 1, "made": "never"}):
        try:
            Item(**wrong)
        except ValidationError as fault:
            print(fault.errors(include_url=False))
    Item.model_validate({"name": 3})


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
